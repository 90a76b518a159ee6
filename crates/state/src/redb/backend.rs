use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

use crate::redb::owner::Owner;

/// What redb reads and writes through: it remembers what redb's errors do not tell.
#[derive(Debug)]
pub(super) struct Backend {
    inner: Box<dyn StorageBackend>,
    health: Arc<Health>,
    /// Until it is closed.
    owner: Mutex<Option<Arc<Owner>>>,
}

/// What became of a [`Backend`], for those who gave it away to redb.
#[derive(Debug, Default)]
pub(super) struct Health {
    retired: AtomicBool,
    sync_failed: AtomicBool,
}

impl Backend {
    pub(super) fn new(
        inner: Box<dyn StorageBackend>,
        health: Arc<Health>,
        owner: Arc<Owner>,
    ) -> Self {
        Self {
            inner,
            health,
            owner: Mutex::new(Some(owner)),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.health.retired.load(Ordering::Acquire) {
            return Err(io::Error::other("it was opened again after a failure"));
        }
        Ok(())
    }
}

impl Health {
    /// Cuts off everything that still holds the database, before the file is opened again.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Whether an fsync failed. What the disk has is unknown from then on: the system may have
    /// dropped the pages and count them as written.
    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed.load(Ordering::Acquire)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.inner
            .sync_data()
            .inspect_err(|_| self.health.sync_failed.store(true, Ordering::Release))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.inner.write(offset, data)
    }

    /// The last that redb calls; the value itself may live on in a scan.
    fn close(&self) -> io::Result<()> {
        let closed = self.inner.close();
        drop(
            self.owner
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        closed
    }
}
