//! What the manager manages: rows, and files beside them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use crate::ask::{change, literal, rows};
use crate::plane::{BLUEPRINTS, PLUGINS, Plane, VERSION};
use crate::reply::{Refusal, page};

type Reply = Result<Json<Value>, Refusal>;

/// Cloudify's names start with a letter and have nothing in them that a path could mean.
pub(crate) fn check_id(id: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let starts = id.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && id.len() <= 256 && id.chars().all(plain) {
        return Ok(());
    }
    Err(Refusal::bad_parameters(
        "an id begins with a letter, and has at most 256 letters, digits, `-`, `.` and `_`",
    ))
}

pub(crate) async fn version() -> Json<Value> {
    Json(json!({
        "edition": "community", "version": VERSION, "build": null, "date": null,
        "commit": null, "distribution": "debian", "distro_release": "bookworm",
    }))
}

pub(crate) async fn status() -> Json<Value> {
    Json(json!({ "status": "OK", "services": {} }))
}

pub(crate) async fn provider_context() -> Json<Value> {
    Json(json!({ "name": "example", "context": {} }))
}

/// The one machine of all there is: the client asks whether there are more.
pub(crate) async fn node(Query(query): Query<HashMap<String, String>>) -> Reply {
    let node = json!({
        "id": 0, "name": "example", "hostname": "example", "host": "127.0.0.1",
        "private_ip": "127.0.0.1", "public_ip": "127.0.0.1", "version": VERSION,
        "edition": "community",
    });
    page(vec![node], &query)
}

/// A list that is empty here.
pub(crate) async fn none(Query(query): Query<HashMap<String, String>>) -> Reply {
    page(Vec::new(), &query)
}

/// All entities of a kind. Of secrets and users only what is not secret.
pub(crate) async fn list(
    State(plane): State<Plane>,
    Path(kind): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    let sql = match kind.as_str() {
        "blueprints" => "SELECT id, tenant_name, created_at FROM blueprints ORDER BY id",
        "deployments" => {
            "SELECT id, tenant_name, blueprint_id, inputs FROM deployments ORDER BY id"
        }
        "plugins" => "SELECT id, tenant_name FROM plugins ORDER BY id",
        "secrets" => "SELECT key AS id, key, tenant_name FROM secrets ORDER BY key",
        "tenants" => "SELECT name AS id, name FROM tenants ORDER BY name",
        "users" => "SELECT username AS id, username, role FROM users ORDER BY username",
        _ => return Err(Refusal::not_found(format!("there are no {kind}"))),
    };
    page(rows(&plane.server, sql).await?, &query)
}

pub(crate) async fn put_blueprint(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    body: Bytes,
) -> Reply {
    let file = PathBuf::from(BLUEPRINTS).join("default_tenant").join(&id);
    let sql = format!(
        "INSERT INTO blueprints (id, tenant_name) VALUES ({}, 'default_tenant')",
        literal(&id)
    );
    put(&plane, &id, sql, Some((file.join("blueprint.yaml"), body))).await
}

pub(crate) async fn put_plugin(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    body: Bytes,
) -> Reply {
    let file = PathBuf::from(PLUGINS).join(&id).join("plugin.wgn");
    let sql = format!(
        "INSERT INTO plugins (id, tenant_name) VALUES ({}, 'default_tenant')",
        literal(&id)
    );
    put(&plane, &id, sql, Some((file, body))).await
}

pub(crate) async fn put_deployment(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Reply {
    let sql = format!(
        "INSERT INTO deployments (id, tenant_name, blueprint_id, inputs) \
         VALUES ({}, 'default_tenant', {}, {})",
        literal(&id),
        literal(body["blueprint_id"].as_str().unwrap_or_default()),
        literal(&body["inputs"].to_string())
    );
    put(&plane, &id, sql, None).await
}

pub(crate) async fn put_secret(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Reply {
    let sql = format!(
        "INSERT INTO secrets (key, tenant_name, value) VALUES ({}, 'default_tenant', {})",
        literal(&id),
        literal(body["value"].as_str().unwrap_or_default())
    );
    put(&plane, &id, sql, None).await
}

/// The file is written first, and has its name once the row is there: one that is refused changes
/// nothing of that which was there before.
async fn put(plane: &Plane, id: &str, sql: String, file: Option<(PathBuf, Bytes)>) -> Reply {
    check_id(id)?;
    let _pass = plane.gate.pass()?;
    if let Some((path, body)) = file {
        let path = plane.folder.join(path);
        let failed = |_| Refusal::internal(format!("cannot write {}", path.display()));
        std::fs::create_dir_all(path.parent().unwrap_or(&plane.folder)).map_err(failed)?;
        let beside = path.parent().unwrap_or(&plane.folder);
        let mut file = tempfile::NamedTempFile::new_in(beside).map_err(failed)?;
        file.write_all(&body).map_err(failed)?;
        change(&plane.server, sql).await?;
        file.persist(&path).map_err(|error| failed(error.error))?;
    } else {
        change(&plane.server, sql).await?;
    }
    Ok(Json(json!({ "id": id, "tenant_name": "default_tenant" })))
}
