//! Where a component works for one job, and how it is stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use stillpoint_archive::Cancel;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::background::Stop;

/// Where a component works for one job.
#[derive(Clone, Debug)]
pub struct Site {
    token: String,
    folder: PathBuf,
    stop: Stop,
    /// When its time is over.
    deadline: Option<Instant>,
}

impl Site {
    pub(crate) fn new(token: &str, folder: PathBuf, stop: Stop) -> Self {
        Self {
            token: token.to_owned(),
            folder,
            stop,
            deadline: None,
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
        let failed = |source| Error::io(format_args!("making {}", self.folder.display()), &source);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        Ok(&self.folder)
    }

    /// An error where the work was stopped, or its time is over. To be asked often.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`], [`ErrorKind::Timeout`].
    pub fn check(&self) -> Result<()> {
        self.stop.check()?;
        if self.deadline.is_some_and(|it| Instant::now() > it) {
            let message = "the manager would have been locked for longer than it may be";
            return Err(Error::new(ErrorKind::Timeout, message)
                .advise("Allow a longer lock, or have more done before it"));
        }
        Ok(())
    }

    /// For work of the archive's, which stops with this.
    pub(crate) fn cancel(&self) -> Cancel {
        self.stop.flag().into()
    }

    /// The same, until this instant.
    pub(crate) fn until(&self, deadline: Instant) -> Self {
        let mut site = self.clone();
        site.deadline = Some(deadline);
        site
    }
}
