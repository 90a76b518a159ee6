use std::future::IntoFuture;
use std::pin::Pin;

use stillpoint_core::{JobId, Result};
use stillpoint_engine::{Engine, Job, JobEvent, JobPlan};
use tokio::sync::broadcast;

use crate::ask::{Ask, Settle};

/// A durable job. Awaiting it waits for its end; dropping it leaves it alone.
#[derive(Clone, Debug)]
pub struct JobHandle {
    engine: Engine,
    id: JobId,
}

impl JobHandle {
    pub(crate) fn new(engine: Engine, id: JobId) -> Self {
        Self { engine, id }
    }

    /// Its id, by which [`Stillpoint::job`](crate::Stillpoint::job) finds it again.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The job as it stands.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::job`].
    pub async fn status(&self) -> Result<Job> {
        self.engine.job(self.id).await
    }

    /// The plan it runs.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::plan_of`].
    pub async fn plan(&self) -> Result<JobPlan> {
        self.engine.plan_of(self.id).await
    }

    /// A page for a person: its steps and the state of each.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::tree`].
    pub async fn tree(&self) -> Result<String> {
        self.engine.tree(self.id).await
    }

    /// What happens from now on, to this job and to all others.
    pub fn events(&self) -> broadcast::Receiver<JobEvent> {
        self.engine.events()
    }

    /// Stops it: what it has done is undone.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::stop`].
    pub async fn stop(&self) -> Result<()> {
        self.engine.stop(self.id).await
    }

    /// Goes on after a person has looked.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::resume`].
    pub async fn resume(&self) -> Result<()> {
        self.engine.resume(self.id).await
    }

    /// Asks for a restore in place to be undone, from its safety snapshot.
    pub fn undo(&self) -> Ask<Settle> {
        Ask::new(
            self.engine.clone(),
            Ok(Settle {
                job: self.id,
                undo: true,
            }),
        )
    }

    /// Asks for the result of a restore in place to be kept, and its safety snapshot deleted.
    pub fn accept(&self) -> Ask<Settle> {
        Ask::new(
            self.engine.clone(),
            Ok(Settle {
                job: self.id,
                undo: false,
            }),
        )
    }
}

impl IntoFuture for JobHandle {
    /// The job, where all that was asked is done; else the error that says what was not.
    type Output = Result<Job>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.engine.wait(self.id).await?.into_result() })
    }
}
