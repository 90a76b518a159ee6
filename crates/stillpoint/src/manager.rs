//! The control plane itself, captured and restored.

use stillpoint_core::{Error, ErrorKind, JobId, Result, Snapshot};
use stillpoint_engine::{Engine, Job, Request};
use stillpoint_manager::{Archives, NAME, RestoreManager, SettleManager};

use crate::Stillpoint;
use crate::ask::{Ask, Wish, sealed};

/// A capture of the control plane.
#[derive(Clone, Debug)]
pub struct CaptureManager {
    name: String,
}

/// The control plane itself.
impl Stillpoint {
    /// Asks for this control plane to be captured, under a name that no other has.
    pub fn capture(&self, name: impl Into<String>) -> Ask<CaptureManager> {
        let wish = CaptureManager { name: name.into() };
        Ask::new(self.engine().clone(), Ok(wish))
    }

    /// Asks for this control plane to be restored from an archive. It need not be listed.
    pub fn restore_manager(&self, archive: impl Into<String>) -> Ask<RestoreManager> {
        Ask::new(self.engine().clone(), Ok(RestoreManager::of(archive)))
    }

    /// Asks for a restore of this control plane to be taken back.
    pub fn undo_manager(&self, restore: JobId) -> Ask<SettleManager> {
        let wish = SettleManager {
            restore,
            undo: true,
        };
        Ask::new(self.engine().clone(), Ok(wish))
    }

    /// Asks for what a restore of this control plane replaced to be removed.
    pub fn accept_manager(&self, restore: JobId) -> Ask<SettleManager> {
        let wish = SettleManager {
            restore,
            undo: false,
        };
        Ask::new(self.engine().clone(), Ok(wish))
    }

    /// The archives of this control plane.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where the builder was told of none.
    pub fn archives(&self) -> Result<&Archives> {
        self.own_archives().ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "it is not said what this control plane is made of",
            )
            .advise("Give the builder a manager")
        })
    }
}

/// A restore of the control plane that is asked for. Without more it is of all that the archive
/// holds, to a clean one.
impl Ask<RestoreManager> {
    /// Only these components.
    pub fn components<C: Into<String>>(self, components: impl IntoIterator<Item = C>) -> Self {
        let components = components.into_iter().map(Into::into).collect();
        self.with(|restore| restore.components = Some(components))
    }

    /// Only these tenants, of components that can tell them apart.
    pub fn tenants<T: Into<String>>(self, tenants: impl IntoIterator<Item = T>) -> Self {
        let tenants = tenants.into_iter().map(Into::into).collect();
        self.with(|restore| restore.tenants = Some(tenants))
    }

    /// Also over one that is not clean. What is there is captured first, and kept until the restore
    /// is accepted.
    pub fn danger_replace_what_is_there(self) -> Self {
        self.with(|restore| restore.danger_replace_what_is_there = true)
    }
}

impl Wish for CaptureManager {
    type Output = Snapshot;

    fn request(&self) -> Request {
        Request::Capture {
            executor: NAME.to_owned(),
            name: self.name.clone(),
            schedule: None,
        }
    }

    async fn output(engine: &Engine, job: Job) -> Result<Snapshot> {
        engine.snapshot_of(&job).await
    }
}

impl Wish for RestoreManager {
    type Output = Job;

    fn request(&self) -> Request {
        Self::request(self)
    }

    async fn output(_: &Engine, job: Job) -> Result<Job> {
        Ok(job)
    }
}

impl Wish for SettleManager {
    type Output = ();

    fn request(&self) -> Request {
        Self::request(self)
    }

    async fn output(_: &Engine, _: Job) -> Result<()> {
        Ok(())
    }
}

impl sealed::Sealed for CaptureManager {}
impl sealed::Sealed for RestoreManager {}
impl sealed::Sealed for SettleManager {}
