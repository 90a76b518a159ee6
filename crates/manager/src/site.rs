//! Where a component works for one job, and how it is stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use stillpoint_archive::Cancel;
use stillpoint_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use crate::failure::{of_io, stopped};

/// Where a component works for one job.
#[derive(Clone, Debug)]
pub struct Site {
    token: String,
    folder: PathBuf,
    stop: Stop,
}

/// Asks a piece of work to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<Notify>,
    archive: Cancel,
    /// When its time is over, and why that is said.
    deadline: Option<Instant>,
}

impl Site {
    pub(crate) fn new(token: &str, folder: PathBuf, stop: Stop) -> Self {
        Self {
            token: token.to_owned(),
            folder,
            stop,
        }
    }

    /// Twelve hexadecimal digits that stand for the job: what is made for it has them in its name.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A folder for what is on its way, which is made by this. It is gone after the job.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn folder(&self) -> Result<&Path> {
        let failed = |source| of_io(&format!("making {}", self.folder.display()), &source);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        Ok(&self.folder)
    }

    /// An error where the work was stopped, or its time is over. To be asked often.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], [`ErrorKind::Timeout`].
    pub fn check(&self) -> Result<()> {
        self.stop.check()
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The same, until this instant.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        let mut site = self.clone();
        site.stop.deadline = Some(deadline);
        site
    }
}

impl Stop {
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.archive.cancel();
        // One that waits, or the next one that will.
        self.wake.notify_one();
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.asked.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        if self.deadline.is_some_and(|it| Instant::now() > it) {
            let message = "the manager would have been locked for longer than it may be";
            return Err(Error::new(ErrorKind::Timeout, message)
                .advise("Allow a longer lock, or have more done before it"));
        }
        Ok(())
    }

    /// Returns once it is asked.
    pub(crate) async fn asked(&self) {
        while !self.asked.load(Ordering::SeqCst) {
            self.wake.notified().await;
        }
    }

    /// For work of the archive's.
    pub(crate) fn archive(&self) -> Cancel {
        self.archive.clone()
    }
}
