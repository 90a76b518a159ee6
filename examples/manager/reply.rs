//! Replies as Cloudify's clients read them: errors by their code, lists in pages.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stillpoint::{Error, ErrorKind};

/// A request that is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
        }
    }

    pub(crate) fn bad_parameters(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameters_error", message)
    }

    /// What a snapshot does not allow in the state that it is in.
    pub(crate) fn action(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "snapshot_action_error", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal_server_error", message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::Busy => (StatusCode::BAD_REQUEST, "existing_running_execution_error"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict_error"),
            ErrorKind::Corrupt | ErrorKind::Precondition => {
                (StatusCode::BAD_REQUEST, "snapshot_action_error")
            }
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "bad_parameters_error"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found_error"),
            ErrorKind::Permission => (StatusCode::FORBIDDEN, "forbidden_error"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "error_code": self.code,
            "message": self.message,
            "server_traceback": null,
        });
        (self.status, Json(body)).into_response()
    }
}

/// A page of a list: sorted, searched and cut as the query asks.
pub(crate) fn page(
    mut items: Vec<Value>,
    query: &HashMap<String, String>,
) -> Result<Json<Value>, Refusal> {
    let number = |name: &str, default: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| Refusal::bad_parameters(format!("{name} is no number: {text}"))),
    };
    let (size, offset) = (number("_size", 1000)?, number("_offset", 0)?);
    if let Some(wanted) = query.get("_search") {
        items.retain(|it| {
            it["id"]
                .as_str()
                .is_some_and(|id| id.contains(wanted.as_str()))
        });
    }
    if let Some(sort) = query.get("_sort") {
        let (key, descending) = match sort.strip_prefix('-') {
            Some(key) => (key, true),
            None => (sort.strip_prefix('+').unwrap_or(sort), false),
        };
        let text = |it: &Value| it[key].as_str().unwrap_or_default().to_owned();
        items.sort_by_key(text);
        if descending {
            items.reverse();
        }
    }
    let total = items.len();
    let items: Vec<Value> = items.into_iter().skip(offset).take(size).collect();
    Ok(Json(json!({
        "items": items,
        "metadata": {
            "pagination": { "total": total, "size": size, "offset": offset },
            "filtered": null,
        },
    })))
}
