use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Error, Result};

/// How far a piece of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done, of the unpacked content.
    pub bytes: u64,
    /// Bytes there are, where that is known.
    pub total: Option<u64>,
}

/// Asks a piece of work to stop. Clones ask the same work.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the work to stop soon; it then fails with [`Error::Cancelled`] and leaves nothing.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// A flag that others raise: true asks the work to stop.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// How long work is watched and stopped: a callback for progress, and a [`Cancel`].
#[derive(Clone, Default)]
pub struct Watch {
    cancel: Cancel,
    progress: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
    bytes: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Watch {
    /// Nobody looks, nobody stops.
    pub fn none() -> Self {
        Watch::default()
    }

    /// Stops when `cancel` says so.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// Calls `report` as bytes are done, from the thread that runs the work.
    #[must_use]
    pub fn progress(mut self, report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(report));
        self
    }

    /// The same watch for a new piece of work, which starts at zero.
    pub(crate) fn start(&self, total: Option<u64>) -> Self {
        Watch {
            bytes: Arc::default(),
            total,
            ..self.clone()
        }
    }

    pub(crate) fn add(&self, bytes: u64) -> Result<()> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(report) = &self.progress {
            report(Progress {
                bytes,
                total: self.total,
            });
        }
        self.cancel.check()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("cancel", &self.cancel)
            .field("bytes", &self.bytes)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
