use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use stillpoint_core::{Error, ErrorKind, Result, World};
use tokio::sync::{mpsc, oneshot};
use tokio::task;

use crate::batch::Batch;
use crate::entry::{Committed, Entry, Revision};
use crate::redb::database::{Opener, Shared};
use crate::redb::owner::Owner;
use crate::redb::pages::Pages;
use crate::redb::writer::Job;
use crate::scan::Scan;
use crate::state::State;

mod backend;
mod create;
mod database;
mod error;
mod overlay;
mod owner;
mod pages;
mod table;
#[cfg(test)]
mod tests;
mod writer;

/// Batches that wait for the writer; who comes later waits to be let in.
const QUEUE: usize = 128;

/// A [`State`] in one file, by [redb](https://docs.rs/redb): the embedded default.
///
/// # One process
///
/// Who opens the file for writing has it alone: everybody else gets `Busy`, which names the
/// process. A note beside the file (`state.redb.owner`) says who it is; it is only a note, and
/// what excludes is a lock of the operating system that ends with the process, however it ends.
/// Any number of processes may read the file with [`open_read_only`](Self::open_read_only) while
/// nobody writes; while one does, ask that one.
///
/// # Durable
///
/// A commit returns when its bytes are on the disk (`fdatasync`, or what the system has for it).
/// One thread writes, and commits whatever waits in one go: sixty-four callers at once pay little
/// more than one. After a commit that failed nothing is assumed: the file is opened and checked
/// again, and once an `fsync` has failed, which leaves unknown what the disk has, every call fails
/// until the process opens the state anew.
///
/// # Damage
///
/// Opening reads the whole file and checks the checksum of every page, at about the speed of the
/// disk. What does not match is `Corrupt`, and the file is left as it is. One thing cannot be
/// told apart: damage to what the very last commit before a *crash* wrote looks like a commit that
/// was cut off, and is rolled back like one.
///
/// # Runtime
///
/// Reads run on tokio's blocking threads, so calls need a tokio runtime. Dropping the last handle
/// waits for commits under way, and closes the file.
pub struct Redb {
    shared: Arc<Shared>,
    /// None where it is opened to read only.
    writer: Option<Writer>,
}

struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Redb {
    /// Makes a new state, which it opens. The folder must be there.
    ///
    /// # Errors
    ///
    /// `Conflict` where there is something at `path`, and otherwise as [`open`](Self::open).
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        create::create(path.as_ref())?;
        Self::open(path)
    }

    /// Opens a state that is there.
    ///
    /// # Errors
    ///
    /// - `NotFound` where there is no file: a disk that is not mounted must not look like an empty
    ///   state.
    /// - `Busy` where another process has it open; the message names it.
    /// - `Corrupt` where the file is cut or changed.
    /// - `Invalid` where it is something else, or of a later version of this crate.
    /// - `Permission`, `Quota` and `Unavailable` where the system says so.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let owner = Owner::exclusive(path)?;
        Self::start(Opener::file(path), owner)
    }

    /// Opens the state, or makes a new one where there is none.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without `NotFound` for the file itself.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        match Self::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match create::create(path.as_ref()) {
                    // Somebody else was faster, and it is there.
                    Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
                    _ => Self::open(path),
                }
            }
            other => other,
        }
    }

    /// Opens a state that nobody has open for writing, to read it. The file is not changed: what a
    /// crash left unfinished is repaired in memory.
    ///
    /// Commits are refused with `Permission`, and waiting for a change with `Unavailable`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let owner = Owner::shared(path)?;
        Ok(Self {
            shared: Arc::new(Shared::open(Opener::overlay(path), owner)?),
            writer: None,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    fn start(opener: Opener, owner: Owner) -> Result<Self> {
        let shared = Arc::new(Shared::open(opener, owner)?);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("stillpoint-state".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer::run(&shared, queue)
            })
            .map_err(|source| {
                Error::new(ErrorKind::Unavailable, "no thread for the writer").because(source)
            })?;
        Ok(Self {
            shared,
            writer: Some(Writer { jobs, thread }),
        })
    }

    /// Has the writer open it again where that failed once: it alone may, and reads come first
    /// after a failure.
    async fn mend(&self) {
        if let Some(writer) = &self.writer
            && self.shared.has_failed()
        {
            let (reply, answer) = oneshot::channel();
            let operations = BTreeMap::new();
            if writer.jobs.send(Job { operations, reply }).await.is_ok() {
                // Whether it is well again shows in the read.
                let _ = answer.await;
            }
        }
    }

    fn read_only(&self) -> Error {
        Error::new(
            ErrorKind::Permission,
            format!("{self} is opened to read only"),
        )
        .advise("Open it with Redb::open, which needs it alone")
    }
}

#[async_trait]
impl State for Redb {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.mend().await;
        let (shared, key) = (Arc::clone(&self.shared), key.to_owned());
        blocking(move || shared.read(|database| table::get(database, &key))).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.mend().await;
        let (shared, from, to) = (Arc::clone(&self.shared), from.to_owned(), to.to_owned());
        blocking(move || Pages::begin(shared, from, to)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let operations = batch.into_operations()?;
        let writer = self.writer.as_ref().ok_or_else(|| self.read_only())?;
        let (reply, answer) = oneshot::channel();
        let gone = || {
            Error::new(ErrorKind::Internal, format!("the writer of {self} is gone"))
                .leaving(World::Unknown)
                .advise("Open the state again, and read what is there")
        };
        writer
            .jobs
            .send(Job { operations, reply })
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        if self.writer.is_none() {
            let now = self.scan("", "").await?.revision();
            if since == now {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("{self} is opened to read only, and will not change"),
                ));
            }
            return Ok(());
        }
        self.shared.changes().wait(prefix, since).await
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        if let Some(Writer { jobs, thread }) = self.writer.take() {
            drop(jobs);
            // If it panicked, then every waiting commit was told.
            let _ = thread.join();
        }
        self.shared.close();
    }
}

impl fmt::Display for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path().display())
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb")
            .field("path", &self.path())
            .field("read_only", &self.writer.is_none())
            .finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(source) => Err(Error::new(ErrorKind::Internal, "a read did not end").because(source)),
    }
}

/// A name beside the file: `state.redb` and `.owner` give `state.redb.owner`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
