//! The process that is killed or stopped.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Signal, getpid, kill_process};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::{Engine, Job, JobQuery, Request};
use stillpoint_manager::{LockOnly, NAME, RestoreManager, SecretKey, Server};
use stillpoint_state::{Batch, Committed, Entry, Redb, Revision, Scan, State};
use tokio::sync::Notify;

use crate::bed::builder;
use crate::{End, KILL_AT, STOP_AT, Story};

/// Held beyond the death of a process: a file with the holder in it.
#[derive(Debug)]
struct LockFile(PathBuf);

impl LockOnly for LockFile {
    fn lock(&self, holder: &str) -> Result<()> {
        match fs::read_to_string(&self.0) {
            Ok(other) if other != holder => Err(Error::new(ErrorKind::Busy, "locked by another")),
            _ => fs::write(&self.0, holder)
                .map_err(|source| Error::new(ErrorKind::Unavailable, source.to_string())),
        }
    }

    fn unlock(&self, holder: &str) -> Result<()> {
        if fs::read_to_string(&self.0).is_ok_and(|it| it == holder) {
            fs::remove_file(&self.0).unwrap();
        }
        Ok(())
    }
}

/// Counts its commits, and dies before or after one of them.
#[derive(Debug)]
struct Watched {
    inner: Redb,
    moments: AtomicUsize,
    at: Option<(End, usize)>,
    /// Told when it is to be stopped.
    stop: Notify,
}

impl Watched {
    fn moment(&self) {
        let moment = self.moments.fetch_add(1, Ordering::SeqCst) + 1;
        match self.at {
            Some((End::Killed, at)) if at == moment => {
                kill_process(getpid(), Signal::KILL).unwrap();
                unreachable!("SIGKILL cannot be survived");
            }
            Some((End::Stopped, at)) if at == moment => self.stop.notify_one(),
            _ => {}
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl State for Watched {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.moment();
        let committed = self.inner.commit(batch).await;
        self.moment();
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}

/// Asks for the story, or stops it where it was begun, and says how it ended.
pub(crate) async fn victim(story: Story, stop: bool, folder: &Path, server: Server) -> ExitCode {
    let state = Arc::new(Watched {
        inner: Redb::open_or_create(folder.join("state.redb")).unwrap(),
        moments: AtomicUsize::new(0),
        at: [(KILL_AT, End::Killed), (STOP_AT, End::Stopped)]
            .into_iter()
            .find_map(|(name, end)| Some((end, std::env::var(name).ok()?.parse().unwrap()))),
        stop: Notify::new(),
    });
    let shared: Arc<dyn State> = Arc::clone(&state) as Arc<dyn State>;
    let engine = Engine::builder(Arc::clone(&shared));
    let manager = builder(
        &server,
        folder,
        &folder.join("archives"),
        &key(folder),
        "7.1.0",
    )
    .component("lock", LockFile(folder.join("locked")));
    let (engine, _) = manager.register(shared, engine).unwrap();
    let engine = engine.build().unwrap();
    let driving = tokio::spawn(engine.run());
    let told = tokio::time::timeout(
        Duration::from_secs(300),
        tell(story, stop, &engine, &state.stop),
    )
    .await;
    engine.shutdown(Duration::from_secs(5)).await;
    driving.await.unwrap().unwrap();
    println!("moments {}", state.moments.load(Ordering::SeqCst));
    match told {
        Ok(Ok(job)) => {
            println!("outcome {}", job.outcome.unwrap());
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            println!("{error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("it did not end");
            ExitCode::FAILURE
        }
    }
}

async fn tell(story: Story, stop: bool, engine: &Engine, asked: &Notify) -> Result<Job> {
    let request = match story {
        Story::Capture => Request::Capture {
            executor: NAME.to_owned(),
            name: "monday".to_owned(),
            schedule: None,
        },
        Story::Restore => RestoreManager::of("monday").request(),
    };
    let begun = engine
        .jobs(&JobQuery {
            unfinished: true,
            ..JobQuery::default()
        })
        .await?;
    let id = match begun.first() {
        Some(job) if stop => {
            match engine.stop(job.id).await {
                // Past the point of no return it only goes on.
                Err(error) if error.kind() == ErrorKind::Precondition => {}
                stopped => stopped?,
            }
            job.id
        }
        _ => engine.start_once(&request, "story").await?,
    };
    let stopping = async {
        asked.notified().await;
        let stopped = engine.stop(id).await;
        println!("stop {}", if stopped.is_ok() { "taken" } else { "refused" });
        std::future::pending().await
    };
    tokio::select! {
        ended = engine.wait(id) => ended,
        never = stopping => never,
    }
}

fn key(folder: &Path) -> SecretKey {
    use secrecy::ExposeSecret as _;
    let path = folder.join("key");
    if let Ok(text) = fs::read_to_string(&path) {
        return text.parse().unwrap();
    }
    let key = SecretKey::generate();
    fs::write(path, key.danger_to_text().expose_secret()).unwrap();
    key
}
