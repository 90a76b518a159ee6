//! What the error bodies of four services mean.
//!
//! Status codes alone mislead: an exceeded quota is 403, 413 or 400, and 413 also is a value that
//! is too long. So the words decide where the code does not.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Retry, World};

/// How long to wait where something is busy and nothing else is said.
const SOON: Duration = Duration::from_secs(2);

const LATE: &str = "gave no reply in time";

const REACH: &str = "Check the network, and that the service runs";

/// Longest part of a message of theirs that is shown, in characters.
const LONGEST: usize = 400;

/// States that end by themselves.
pub(crate) const PASSING: &[&str] = &[
    "attaching",
    "backing-up",
    "creating",
    "deleting",
    "detaching",
    "downloading",
    "extending",
    "reserved",
    "restoring",
    "restoring-backup",
    "retyping",
    "reverting",
    "unmanaging",
    "uploading",
];

/// The error that a reply is; `changes` says whether the call was to change something.
pub(crate) fn refused(
    service: &dyn std::fmt::Display,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    changes: bool,
) -> Error {
    let said = message(body);
    let words = said.to_ascii_lowercase();
    let (kind, retry, advice) = meaning(status, headers, &words);
    let what = match said.as_str() {
        "" => format!("{service} answered {status}"),
        said => format!("{service} answered {}: {said}", status.as_u16()),
    };
    let error = Error::new(kind, what).retry_with(retry).advise(advice);
    if status.is_server_error() && changes {
        error.leaving(World::Unknown)
    } else {
        error
    }
}

fn meaning(
    status: StatusCode,
    headers: &HeaderMap,
    words: &str,
) -> (ErrorKind, Retry, &'static str) {
    use ErrorKind as Kind;
    let soon = Retry::After(SOON);
    let quota = words.contains("quota")
        || words.contains("maximum number of")
        || words.contains("limit exceeded");
    match status.as_u16() {
        400 | 403 | 413 if quota => (
            Kind::Quota,
            Retry::Never,
            "Delete what is not needed, or have the project's quota raised",
        ),
        400 | 409 if passing(words) => (Kind::Busy, soon, "Try again when it is done"),
        400 if words.contains("status must be") || words.contains("must be available") => (
            Kind::Precondition,
            Retry::Never,
            "Bring it to that state first",
        ),
        401 => (
            Kind::Permission,
            Retry::Never,
            "Check the credentials: they may be wrong, revoked or expired",
        ),
        403 if words.contains("protected") => (
            Kind::Precondition,
            Retry::Never,
            "Take its protection away first",
        ),
        403 => (
            Kind::Permission,
            Retry::Never,
            "Give the user the role that this needs in the project",
        ),
        404 => (Kind::NotFound, Retry::Never, "List what is there"),
        406 => (
            Kind::Unsupported,
            Retry::Never,
            "The cloud is too old for this call",
        ),
        408 => (Kind::Timeout, soon, "Try again"),
        409 if words.contains("vm_state") || words.contains("power state") => (
            Kind::Precondition,
            Retry::Never,
            "Bring it to that state first",
        ),
        409 if words.contains("in use") || words.contains("being used") => (
            Kind::Precondition,
            Retry::Never,
            "Remove what depends on it first",
        ),
        409 => (Kind::Busy, soon, "Try again when it is done"),
        413 if !words.contains("greater than") && !words.contains("too long") => {
            (Kind::RateLimited, wait(headers), "Ask less often")
        }
        429 => (Kind::RateLimited, wait(headers), "Ask less often"),
        500..=599 => (
            Kind::Unavailable,
            Retry::After(wait_time(headers).unwrap_or(SOON)),
            "Look at the service's log, by the request id if there is one",
        ),
        _ => (Kind::Invalid, Retry::Never, "Mend the request"),
    }
}

/// Whether the words say that it is in a state that ends by itself.
fn passing(words: &str) -> bool {
    if words.contains("while it is in task_state") {
        return true;
    }
    let Some((_, state)) = words.split_once("current status is") else {
        return false;
    };
    let state = state.trim_start_matches([':', ' ', '\'']);
    PASSING.iter().any(|passing| state.starts_with(passing))
}

fn wait(headers: &HeaderMap) -> Retry {
    Retry::After(wait_time(headers).unwrap_or(SOON * 5))
}

/// What `Retry-After` says, in seconds; 0 says nothing.
fn wait_time(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.min(3600)))
}

/// The call did not come through, or its reply did not.
pub(crate) fn lost(service: &dyn std::fmt::Display, error: reqwest::Error, changes: bool) -> Error {
    // The address may tell more than a log should have; the service is named instead.
    let error = error.without_url();
    let unknown = if changes && !error.is_connect() {
        World::Unknown
    } else {
        World::Untouched
    };
    let (kind, what) = if error.is_connect() {
        (ErrorKind::Unavailable, "cannot be reached")
    } else if error.is_timeout() {
        (ErrorKind::Timeout, LATE)
    } else {
        (ErrorKind::Unavailable, "broke off")
    };
    Error::new(kind, format!("{service} {what}"))
        .leaving(unknown)
        .retry_with(Retry::After(SOON))
        .advise(REACH)
        .because(error)
}

/// What was waited for did not come.
pub(crate) fn late(service: &dyn std::fmt::Display, changes: bool) -> Error {
    let world = if changes {
        World::Unknown
    } else {
        World::Untouched
    };
    Error::new(ErrorKind::Timeout, format!("{service} {LATE}"))
        .leaving(world)
        .retry_with(Retry::After(SOON))
        .advise(REACH)
}

/// The message in an error body: Nova's and Cinder's `{"badRequest": {"message"}}`, Keystone's
/// `{"error": {"message"}}`, and Glance's `{"message"}` with HTML in it.
fn message(body: &Value) -> String {
    let direct = body["message"].as_str();
    let nested = || {
        let inner = body.as_object()?.values().find(|it| it.is_object())?;
        inner["message"].as_str()
    };
    let text = direct.or_else(nested).or(body.as_str()).unwrap_or_default();
    // Nova's own faults are named so, and that is no HTML.
    let text = text.replace("<class '", "'").replace("'>", "'");
    let mut shown = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            c if c.is_whitespace() || c.is_control() => {
                if !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            c => shown.push(c),
        }
    }
    let shown = shown.trim().trim_end_matches('.');
    shown.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn error(status: u16, body: Value) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        refused(&"Cinder", status, &HeaderMap::new(), &body, true)
    }

    #[test]
    fn words_decide_where_codes_mislead() {
        let said = |message: &str| json!({"x": {"message": message, "code": 0}});
        for (status, message, kind) in [
            (
                403,
                "Quota exceeded for resources: snapshots",
                ErrorKind::Quota,
            ),
            (
                413,
                "SnapshotLimitExceeded: Maximum number of snapshots allowed (3) exceeded",
                ErrorKind::Quota,
            ),
            (
                413,
                "Metadata property key greater than 255 characters.",
                ErrorKind::Invalid,
            ),
            (
                413,
                "This request was rate-limited.",
                ErrorKind::RateLimited,
            ),
            (403, "Policy doesn't allow it", ErrorKind::Permission),
            (
                403,
                "Image x is protected and cannot be deleted.",
                ErrorKind::Precondition,
            ),
            (
                400,
                "Invalid volume: Volume x status must be available, but current status is: in-use.",
                ErrorKind::Precondition,
            ),
            (
                400,
                "Invalid volume: Volume x status must be available, but current status is: reverting.",
                ErrorKind::Busy,
            ),
            (
                409,
                "Cannot 'createImage' instance x while it is in task_state image_uploading",
                ErrorKind::Busy,
            ),
            (
                409,
                "Cannot 'start' instance x while it is in vm_state active",
                ErrorKind::Precondition,
            ),
            (400, "Invalid input", ErrorKind::Invalid),
            (404, "", ErrorKind::NotFound),
        ] {
            let got = error(status, said(message));
            assert_eq!(got.kind(), kind, "{status} {message}");
            assert_eq!(got.world(), World::Untouched, "{status} {message}");
            let again = matches!(kind, ErrorKind::Busy | ErrorKind::RateLimited);
            assert_eq!(got.retry() != Retry::Never, again, "{status} {message}");
        }
    }

    #[test]
    fn a_failing_service_leaves_the_world_unknown() {
        for status in [500, 502, 503, 504] {
            assert_eq!(error(status, Value::Null).world(), World::Unknown);
        }
    }

    #[test]
    fn html_and_control_characters_are_not_shown_and_faults_are() {
        let body =
            json!({"message": "Not\u{1b}[2J found<br /><br />\n\n", "code": "404 Not Found"});
        let shown = error(404, body).to_string();
        assert!(shown.contains("Not [2J found."), "{shown}");
        let body = json!({"computeFault": {"message": "Report this\n<class 'a.B_Remote'>"}});
        let shown = error(500, body).to_string();
        assert!(shown.contains("Report this 'a.B_Remote'"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_body_breaks_it(text in ".{0,600}", status in 400u16..600) {
            let shown = error(status, json!({"message": text})).message().len();
            prop_assert!(shown < 4 * LONGEST + 60);
        }
    }
}
