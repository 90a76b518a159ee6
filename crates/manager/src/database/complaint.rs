//! What PostgreSQL's clients complain of, as errors that hold nothing of what is in a database.

use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Retry};

/// What is named, and not a value, where it stands in quotes in a complaint.
const NAMED: [&str; 16] = [
    "column",
    "constraint",
    "database",
    "extension",
    "file",
    "function",
    "host",
    "index",
    "relation",
    "role",
    "schema",
    "server at",
    "socket",
    "table",
    "type",
    "user",
];

/// What a client complained of, as the kind of error that it is.
pub(super) fn complaint(program: &str, said: &str) -> Error {
    // Anything else may be a piece of what is in the database.
    let text = said
        .lines()
        .find(|line| {
            ["ERROR:", "FATAL:", "PANIC:", "error:"]
                .iter()
                .any(|it| line.contains(it))
        })
        .unwrap_or("it does not say why");
    let shown: String = without_values(text).chars().take(300).collect();
    let has = |words: &[&str]| words.iter().any(|it| said.contains(it));
    let (kind, advice) = if has(&["No space left", "could not extend", "could not write"]) {
        (ErrorKind::Quota, "Free space on the database's server")
    } else if has(&[
        "permission denied",
        "must be owner",
        "authentication failed",
        "must be superuser",
        "pg_hba.conf",
    ]) {
        (ErrorKind::Permission, "Grant the rights to the role")
    } else if has(&[
        "could not connect",
        "connection to server",
        "server closed",
        "terminating connection",
        "starting up",
        "shutting down",
        "recovery mode",
    ]) {
        (ErrorKind::Unavailable, "Try again when the server answers")
    } else if has(&["already exists"]) {
        (ErrorKind::Conflict, "Look what it is")
    } else if has(&["does not exist"]) {
        (ErrorKind::NotFound, "Correct the name")
    } else if has(&["is being accessed"]) {
        (ErrorKind::Busy, "Close what is connected to it")
    } else {
        (ErrorKind::Precondition, "Look at what the server says")
    };
    let error = Error::new(kind, format!("{program}: {shown}")).advise(advice);
    match kind {
        ErrorKind::Unavailable | ErrorKind::Busy => {
            error.retry_with(Retry::After(Duration::from_secs(1)))
        }
        _ => error,
    }
}

/// A complaint up to the first thing in quotes that is not a name: what a server says of a row may
/// hold what is in it, and that may be a secret.
fn without_values(text: &str) -> String {
    let mut shown = String::new();
    for (at, piece) in text.split('"').enumerate() {
        let quoted = at % 2 == 1;
        let before = shown.trim_end_matches('"').trim_end();
        if quoted && !NAMED.iter().any(|it| before.ends_with(it)) {
            shown.push('…');
            break;
        }
        shown.push_str(piece);
        if text.matches('"').count() > at {
            shown.push('"');
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_keeps_names_and_no_values() {
        for (said, wanted) in [
            (
                "ERROR:  relation \"a\" of schema \"b\" does not exist",
                "ERROR:  relation \"a\" of schema \"b\" does not exist",
            ),
            (
                "ERROR:  invalid input syntax for type integer: \"a \"secret\" value\"",
                "ERROR:  invalid input syntax for type integer: \"…",
            ),
            (
                "FATAL:  password authentication failed for user \"control\"",
                "FATAL:  password authentication failed for user \"control\"",
            ),
            ("ERROR:  value \"12\" is out of range", "ERROR:  value \"…"),
            ("no quotes", "no quotes"),
        ] {
            assert_eq!(without_values(said), wanted);
        }
    }

    #[test]
    fn what_is_no_complaint_is_not_shown() {
        let cut = complaint("psql", "hunter2 and the rest of a row\"\n");
        assert!(!cut.to_string().contains("hunter2"), "{cut}");
        let said = "hunter2 error\npsql:<stdin>:7: ERROR:  relation \"a\" does not exist\n";
        let cut = complaint("psql", said).to_string();
        assert!(
            cut.contains("relation \"a\"") && !cut.contains("hunter2"),
            "{cut}"
        );
    }
}
