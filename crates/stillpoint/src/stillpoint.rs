use std::time::Duration;

use stillpoint_core::{Error, JobId, ResourceRef, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Engine, Job, JobEvent, JobPlan, JobQuery, Restore, Take};
use stillpoint_state::catalogue::{Author, Catalogue, Page, Query};
use tokio::sync::broadcast;

use crate::ask::{Ask, Delete, Planned, Settle, take};
use crate::builder::Builder;
use crate::handle::JobHandle;

/// Snapshots, jobs and the engine that drives them. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Stillpoint {
    engine: Engine,
    #[cfg(feature = "manager")]
    archives: Option<stillpoint_manager::Archives>,
}

impl Stillpoint {
    /// A builder of one.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            #[cfg(feature = "manager")]
            archives: None,
        }
    }

    #[cfg(feature = "manager")]
    pub(crate) fn with_archives(self, archives: Option<stillpoint_manager::Archives>) -> Self {
        Self { archives, ..self }
    }

    #[cfg(feature = "manager")]
    pub(crate) fn own_archives(&self) -> Option<&stillpoint_manager::Archives> {
        self.archives.as_ref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Asks for a snapshot of an instance or a volume: `prod/instance/web-1`.
    pub fn snapshot<R>(&self, source: R) -> Ask<Take>
    where
        R: TryInto<ResourceRef>,
        R::Error: Into<Error>,
    {
        Ask::new(
            self.engine.clone(),
            take(source.try_into().map_err(Into::into)),
        )
    }

    /// Asks for a snapshot to be restored: in place, unless told otherwise.
    pub fn restore(&self, snapshot: SnapshotId) -> Ask<Restore> {
        Ask::new(self.engine.clone(), Ok(Restore::in_place(snapshot)))
    }

    /// Asks for a snapshot to be deleted.
    pub fn delete(&self, snapshot: SnapshotId) -> Ask<Delete> {
        Ask::new(self.engine.clone(), Ok(Delete { snapshot }))
    }

    /// Asks for a restore in place to be undone, from its safety snapshot.
    pub fn undo(&self, restore: JobId) -> Ask<Settle> {
        self.job(restore).undo()
    }

    /// Asks for the result of a restore in place to be kept, and its safety snapshot deleted.
    pub fn accept(&self, restore: JobId) -> Ask<Settle> {
        self.job(restore).accept()
    }

    /// A plan that was stored, ready to start.
    pub fn planned(&self, plan: JobPlan) -> Planned {
        Planned::new(self.engine.clone(), plan)
    }

    /// The snapshots that match.
    ///
    /// # Errors
    ///
    /// Those of [`Catalogue::list`].
    pub async fn snapshots(&self, query: &Query) -> Result<Page> {
        self.catalogue().list(query).await
    }

    /// One snapshot.
    ///
    /// # Errors
    ///
    /// Those of [`Catalogue::get`].
    pub async fn get(&self, snapshot: SnapshotId) -> Result<Snapshot> {
        Ok(self.catalogue().get(snapshot).await?.snapshot)
    }

    /// The catalogue: to find snapshots, and to read who changed what of them.
    pub fn catalogue(&self) -> &Catalogue {
        self.engine.catalogue()
    }

    /// Renames, describes, labels and pins snapshots in this name, which the audit keeps.
    pub fn by(&self, who: impl Into<String>) -> Author {
        self.engine.by(who)
    }

    /// A job by its id, whoever started it.
    pub fn job(&self, id: JobId) -> JobHandle {
        JobHandle::new(self.engine.clone(), id)
    }

    /// The jobs that match, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::jobs`].
    pub async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.engine.jobs(query).await
    }

    /// What happens to all jobs from now on.
    pub fn events(&self) -> broadcast::Receiver<JobEvent> {
        self.engine.events()
    }

    /// Takes over every unfinished job and drives all jobs, until [`shutdown`](Self::shutdown).
    /// Spawn it. Dropping it is as safe as a crash.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::run`].
    pub fn run(&self) -> impl Future<Output = Result<()>> + Send + 'static {
        self.engine.run()
    }

    /// Begins nothing new, waits at most this long for what is on its way, and ends
    /// [`run`](Self::run).
    pub async fn shutdown(&self, grace: Duration) {
        self.engine.shutdown(grace).await;
    }
}
