//! A small control plane that snapshots itself, and speaks Cloudify's snapshot REST interface.
//!
//! Without arguments it shows itself: a manager in use is captured, and restored on a fresh second
//! one, with a PostgreSQL of its own. `serve` has it listen, for the stock `cfy` client:
//!
//! ```text
//! manager serve --folder DIR --key FILE --listen 127.0.0.1:8100 [--postgres SOCKET --database NAME]
//! ```
//!
//! `tour.sh` has `cfy` do the whole tour: created on one, restored on a second. What `cfy` has no word
//! for is there as well: `GET /executions/ID/progress` tells of a job as it goes (server-sent events),
//! `POST /executions/ID/undo` takes a restore back, and `…/accept` removes what it replaced.
//!
//! It needs PostgreSQL 15 (Debian: `apt install postgresql`), and says so where it finds none.

mod api;
mod ask;
mod auth;
mod cloudify;
mod copied;
mod entities;
mod gate;
mod old;
mod plane;
mod postgres;
mod progress;
mod reply;
mod show;
mod snapshots;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use stillpoint::control::{SecretKey, Server};

use crate::plane::Plane;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ran = match arguments.split_first() {
        None => show::run().await,
        Some((verb, rest)) if verb == "serve" => serve(rest).await,
        Some(_) => Err("say nothing, or `serve` with its options".into()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What `serve` was told.
struct Options {
    folder: PathBuf,
    /// The server and the database; none: a server of its own.
    postgres: Option<(String, String)>,
    listen: String,
    key: PathBuf,
}

impl Options {
    fn read(arguments: &[String]) -> Fallible<Self> {
        let given = |name: &str| {
            let at = arguments.iter().position(|it| it == name);
            at.and_then(|at| arguments.get(at + 1).cloned())
        };
        let value = |name: &str| given(name).ok_or_else(|| format!("say {name}"));
        Ok(Self {
            folder: value("--folder")?.into(),
            postgres: given("--postgres").zip(given("--database")),
            listen: value("--listen")?,
            key: value("--key")?.into(),
        })
    }
}

/// Serves one manager until the process is told to end.
async fn serve(arguments: &[String]) -> Fallible<()> {
    let options = Options::read(arguments)?;
    let (server, _own) = match options.postgres {
        Some((socket, database)) => {
            let server = Server::new(socket, "control", database);
            let server = match std::env::var("MANAGER_DB_PASSWORD") {
                Ok(password) => server.password(password.into()),
                Err(_) => server,
            };
            (server, None)
        }
        None => {
            let own = postgres::Postgres::start()?;
            (own.create("control")?, Some(own))
        }
    };
    let key = key(&options.key)?;
    let plane = Plane::open(server, &options.folder, key).await?;
    let listener = tokio::net::TcpListener::bind(&options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let still = plane.still.clone();
    axum::serve(listener, api::router(plane))
        .with_graceful_shutdown(told_to_end())
        .await?;
    still.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// The key that archives are sealed for, which is made where there is none.
fn key(path: &PathBuf) -> Fallible<SecretKey> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    use secrecy::ExposeSecret as _;
    if path.exists() {
        return Ok(fs::read_to_string(path)?.trim().parse()?);
    }
    let key = SecretKey::generate();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(key.danger_to_text().expose_secret().as_bytes())?;
    Ok(key)
}
