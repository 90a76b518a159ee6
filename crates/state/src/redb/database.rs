use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use stillpoint_core::{Error, ErrorKind, Result, World};

use crate::changes::Changes;
use crate::entry::Revision;
use crate::redb::backend::{Backend, Health};
use crate::redb::overlay::Overlay;
use crate::redb::owner::Owner;
use crate::redb::{error, table};

/// Memory for pages that were read or wait to be written.
const CACHE_BYTES: usize = 64 << 20;

/// How the file is opened, and opened again after a failure.
pub(super) struct Opener {
    path: PathBuf,
    backend: Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync>,
}

/// The database as readers and the writer share it.
#[derive(Debug)]
pub(super) struct Shared {
    opener: Opener,
    /// Until it is closed.
    owner: Mutex<Option<Arc<Owner>>>,
    current: RwLock<Current>,
    changes: Changes,
}

#[derive(Debug)]
enum Current {
    /// Not usable any more, for this reason.
    Closed(Error),
    /// Not usable until it was opened again, for this reason.
    Failed(Error),
    Open(Opened),
}

#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) database: Arc<Database>,
    health: Arc<Health>,
}

impl Opener {
    pub(super) fn new(
        path: &Path,
        backend: impl Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path: path.to_owned(),
            backend: Box::new(backend),
        }
    }

    /// The file itself.
    pub(super) fn file(path: &Path) -> Self {
        let at = path.to_owned();
        Self::new(path, move || file(&at, true))
    }

    /// The file, which is not written.
    pub(super) fn overlay(path: &Path) -> Self {
        let at = path.to_owned();
        Self::new(path, move || Ok(Box::new(Overlay::new(file(&at, false)?)?)))
    }

    /// Opens and checks every page.
    fn open(&self, owner: &Arc<Owner>) -> Result<Opened> {
        // With all writes kept from it, so that a damaged file stays as it was found.
        let trial = Overlay::new(self.backend()?).map_err(|e| error::io("open", &self.path, e))?;
        drop(self.guarded(Box::new(trial), owner, true)?);
        self.guarded(self.backend()?, owner, false)
    }

    fn backend(&self) -> Result<Box<dyn StorageBackend>> {
        (self.backend)().map_err(|source| error::io("open", &self.path, source))
    }

    /// redb believes some of what it reads before it has checked it, and panics over the rest.
    fn guarded(
        &self,
        inner: Box<dyn StorageBackend>,
        owner: &Arc<Owner>,
        check: bool,
    ) -> Result<Opened> {
        panic::catch_unwind(AssertUnwindSafe(|| self.open_on(inner, owner, check)))
            .unwrap_or_else(|_| Err(error::damaged(&self.path)))
    }

    fn open_on(
        &self,
        inner: Box<dyn StorageBackend>,
        owner: &Arc<Owner>,
        check: bool,
    ) -> Result<Opened> {
        let path = &self.path;
        let length = inner.len();
        if length.map_err(|source| error::io("open", path, source))? == 0 {
            // redb would make a new database of it.
            return Err(error::damaged(path));
        }
        let health = Arc::new(Health::default());
        let mut database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(Backend::new(inner, Arc::clone(&health), Arc::clone(owner)))
            .map_err(|source| error::redb("open", path, source))?;
        if check {
            let whole = database
                .check_integrity()
                .map_err(|source| error::redb("check", path, source))?;
            if !whole {
                return Err(error::damaged(path));
            }
            table::check_format(&database, path)?;
        }
        Ok(Opened {
            database: Arc::new(database),
            health,
        })
    }
}

impl Shared {
    pub(super) fn open(opener: Opener, owner: Owner) -> Result<Self> {
        let owner = Arc::new(owner);
        let opened = opener.open(&owner)?;
        let revision = table::revision(&opened.database)
            .map_err(|source| error::redb("read", &opener.path, source))?;
        Ok(Self {
            opener,
            owner: Mutex::new(Some(owner)),
            current: RwLock::new(Current::Open(opened)),
            changes: Changes::new(revision),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.opener.path
    }

    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The database, if it is usable.
    pub(super) fn opened(&self) -> Result<Opened> {
        match &*self.lock() {
            Current::Closed(reason) | Current::Failed(reason) => Err(reason.clone()),
            Current::Open(opened) => Ok(opened.clone()),
        }
    }

    /// Whether the writer has to open it again before anybody can read.
    pub(super) fn has_failed(&self) -> bool {
        matches!(&*self.lock(), Current::Failed(_))
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T> {
        read(&self.opened()?.database).map_err(|source| error::redb("read", self.path(), source))
    }

    /// The database, opened again if it failed before. For the writer alone.
    pub(super) fn opened_again(&self) -> Result<Opened> {
        let owner = self.owner().clone();
        if self.has_failed()
            && let Some(owner) = owner
        {
            let opened = self.opener.open(&owner)?;
            self.replace(Current::Open(opened));
        }
        self.opened()
    }

    /// After a transaction that wrote has failed: cuts off the database, and finds out from the
    /// file what became of it. Returns what those get who waited for the commit.
    pub(super) fn fail(&self, opened: Opened, before: Revision, failure: Error) -> Error {
        let Opened { database, health } = opened;
        if health.sync_failed() {
            let fatal = Error::new(
                ErrorKind::Unavailable,
                format!("{} could not be made durable", self.path().display()),
            )
            .leaving(World::Unknown)
            .advise(
                "Check the disk, then start this process again: what is on it must be read anew",
            )
            .because(failure);
            self.replace(Current::Closed(fatal.clone()));
            health.retire();
            return fatal;
        }
        self.replace(Current::Failed(failure.clone()));
        health.retire();
        drop(database);
        let found = self.opened_again().and_then(|_| self.read(table::revision));
        match found {
            // The old root is in force, and nothing of the failed commit can come back.
            Ok(revision) if revision == before => failure.leaving(World::Untouched),
            _ => failure.leaving(World::Unknown),
        }
    }

    pub(super) fn close(&self) {
        self.replace(Current::Closed(
            Error::new(
                ErrorKind::Unavailable,
                format!("{} is closed", self.path().display()),
            )
            .advise("Open it again"),
        ));
        drop(self.owner().take());
    }

    fn owner(&self) -> MutexGuard<'_, Option<Arc<Owner>>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, by: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = by;
    }
}

fn file(path: &Path, writable: bool) -> io::Result<Box<dyn StorageBackend>> {
    let file = OpenOptions::new().read(true).write(writable).open(path)?;
    match FileBackend::new(file) {
        Ok(backend) => Ok(Box::new(backend)),
        Err(source) => Err(io::Error::other(source)),
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
