//! Asking the database from a handler, which must not block.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use stillpoint::control::Server;
use stillpoint::{ErrorKind, Result};

use crate::reply::Refusal;

/// For how long a server that is away is asked again, and how often.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// The rows of a query, as JSON.
pub(crate) async fn rows(server: &Server, sql: &str) -> std::result::Result<Vec<Value>, Refusal> {
    let sql = format!("SELECT coalesce(json_agg(t), '[]') FROM ({sql}) t");
    let found = text(server, sql).await?;
    serde_json::from_str(&found).map_err(|_| Refusal::internal("the database gave no JSON"))
}

/// Does something with the database, all or nothing.
pub(crate) async fn change(server: &Server, sql: String) -> std::result::Result<(), Refusal> {
    let server = server.clone();
    blocking(move || server.transaction(&sql)).await
}

/// What a query gives, as text. Who asks while a restore puts its database in place is thrown out,
/// and asks again.
pub(crate) async fn text(server: &Server, sql: String) -> std::result::Result<String, Refusal> {
    let server = server.clone();
    blocking(move || {
        let start = Instant::now();
        loop {
            match server.query(&sql) {
                Err(error)
                    if error.kind() == ErrorKind::Unavailable && start.elapsed() < PATIENCE =>
                {
                    thread::sleep(PAUSE);
                }
                found => return found,
            }
        }
    })
    .await
}

async fn blocking<T: Send + 'static>(
    does: impl FnOnce() -> Result<T> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    match tokio::task::spawn_blocking(does).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Refusal::internal("a thread has died")),
    }
}

/// A text as SQL has it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
