mod asking;

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::{Either, select};
use stillpoint_core::{Error, ErrorKind, JobId, Result, Snapshot, World};
use stillpoint_iaas::Provider;
use stillpoint_restore::{Event, Machine, Record};
use stillpoint_state::catalogue::{Author, Catalogue};
use stillpoint_state::{Guard, State};
use tokio::sync::{broadcast, oneshot};

use crate::action::StepOutput;
use crate::builder::EngineBuilder;
use crate::drive::Order;
use crate::event::JobEvent;
use crate::job::{Job, JobQuery};
use crate::plan::JobPlan;
use crate::planning::find;
use crate::run;
use crate::schedules::Ledger;
use crate::shared::{Phase, Shared, lock};
use crate::store::{Logged, decode_bytes};

/// Plans, starts and drives jobs. Cheap to clone; all clones are one engine.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// A builder of an engine that keeps everything durable in this state.
    pub fn builder(state: Arc<dyn State>) -> EngineBuilder {
        EngineBuilder::new(state)
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self::of(Arc::new(shared))
    }

    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The job as it stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is none.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        Ok(self.shared.store.job(id).await?.job)
    }

    /// The jobs that match, oldest first.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        self.shared.store.jobs(query).await
    }

    /// The plan that a job runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such job.
    pub async fn plan_of(&self, id: JobId) -> Result<JobPlan> {
        self.shared.store.plan(id).await
    }

    /// The records of a job, in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] naming the first record that is damaged.
    pub async fn journal(&self, id: JobId) -> Result<Vec<Record<StepOutput>>> {
        let records = self.shared.store.journal(id).read().await?;
        records
            .and_then(|stored| async move {
                let name = format!("record {} of {id}", stored.seq);
                Ok(decode_bytes::<Logged>(&stored.bytes, &name)?.record)
            })
            .try_collect()
            .await
    }

    /// A page for a person: the steps of a job and the state of each.
    ///
    /// # Errors
    ///
    /// As [`plan_of`](Self::plan_of) and [`journal`](Self::journal).
    pub async fn tree(&self, id: JobId) -> Result<String> {
        let plan = self.plan_of(id).await?;
        let Some(steps) = plan.steps else {
            return Ok(String::new());
        };
        let records = self.journal(id).await?;
        let machine = Machine::replay(steps, &records).map_err(|source| {
            let message = format!("the journal of job {id} does not fit its plan");
            Error::new(ErrorKind::Corrupt, message).because(source)
        })?;
        Ok(machine.tree().to_string())
    }

    /// Waits until a job is over, or waits for a person itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`] where nothing drives it; [`ErrorKind::Corrupt`] and the like
    /// where no driver can go on with it.
    pub async fn wait(&self, id: JobId) -> Result<Job> {
        let shared = &self.shared;
        loop {
            let gave_up = shared.gave_up.notified();
            let row = shared.store.job(id).await?;
            if row.job.outcome.is_some() {
                return Ok(row.job);
            }
            if let Some(error) = lock(&shared.given_up).get(&id) {
                return Err(error.clone());
            }
            if !shared.is_running() {
                let message = format!("job {id} is durable, but nothing drives it");
                return Err(Error::new(ErrorKind::Precondition, message)
                    .advise("Spawn run(), and wait for the job again"));
            }
            let mut phase = shared.phase.subscribe();
            let ended = phase.wait_for(|phase| *phase == Phase::Ended && !shared.is_running());
            let other = select(Box::pin(ended), Box::pin(gave_up));
            let changed = Box::pin(shared.store.changed(id, row.version));
            if let Either::Left((changed, _)) = select(changed, other).await {
                changed?;
            }
        }
    }

    /// Stops a job: what it has done is undone. Returns once the stop is durable.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`] with the reason where it can't be stopped: it is over, on its
    /// way back, or past its point of no return.
    pub async fn stop(&self, id: JobId) -> Result<()> {
        self.order(id, Order::Stop).await
    }

    /// Goes on with a job that waits for a person: everything unclear is observed again first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`] where it does not wait for anybody; [`ErrorKind::Conflict`]
    /// where somebody else resumed it at the same time.
    pub async fn resume(&self, id: JobId) -> Result<()> {
        self.check_writable()?;
        let mut row = self.shared.store.job(id).await?;
        if row.job.is_over() || row.job.outcome.is_none() {
            let message = format!("job {id} does not wait for a person");
            return Err(Error::new(ErrorKind::Precondition, message));
        }
        row.job.outcome = None;
        let mut batch = stillpoint_state::Batch::new();
        // Another resume may have brought it to its end by now.
        let guard = Guard::At(row.version);
        self.shared
            .store
            .put_job(&mut batch, guard, &row.job, true)?;
        let resumed = self.shared.store.state.commit(batch).await;
        self.kick_if_unknown(&resumed, id);
        resumed.map_err(|error| match error.kind() {
            ErrorKind::Conflict => {
                let message = format!("somebody else resumed job {id} at the same time");
                Error::new(ErrorKind::Conflict, message).advise("Wait for the job")
            }
            _ => error,
        })?;
        lock(&self.shared.given_up).remove(&id);
        self.kick(id);
        Ok(())
    }

    /// What happens to jobs from now on.
    pub fn events(&self) -> broadcast::Receiver<JobEvent> {
        self.shared.events.subscribe()
    }

    /// The snapshots.
    pub fn catalogue(&self) -> &Catalogue {
        &self.shared.store.catalogue
    }

    /// Changes snapshots' names, texts, labels, pins and expiries, in this name and at this
    /// instant.
    pub fn by(&self, who: impl Into<String>) -> Author {
        self.catalogue().by(who, self.now())
    }

    /// The snapshot that a job took, or the safety snapshot that it keeps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where it has none, or none any more.
    pub async fn snapshot_of(&self, job: &Job) -> Result<Snapshot> {
        let id = job.snapshot.ok_or_else(|| {
            let message = format!("job {} keeps no snapshot", job.id);
            Error::new(ErrorKind::NotFound, message).advise("Look at its outcome")
        })?;
        Ok(self.catalogue().get(id).await?.snapshot)
    }

    /// What an executor said of a snapshot of the manager that it captured; `Null` where it said
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of [`journal`](Self::journal).
    pub async fn captured(&self, snapshot: &Snapshot) -> Result<serde_json::Value> {
        let records = self.journal(snapshot.job).await?;
        let done = records
            .into_iter()
            .rev()
            .find_map(|record| match record.event {
                Event::Done {
                    output: StepOutput::Custom(value),
                    ..
                } => Some(value),
                _ => None,
            });
        Ok(done.unwrap_or_default())
    }

    /// The provider of that name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] naming those that there are.
    pub fn provider(&self, name: &str) -> Result<Arc<dyn Provider>> {
        find(&self.shared.workshop.providers, name).cloned()
    }

    /// Takes over every unfinished job and drives all jobs, until [`shutdown`](Self::shutdown).
    /// Dropping the future is as safe as a crash.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] where this engine runs already; those of the state at the start.
    pub fn run(&self) -> impl Future<Output = Result<()>> + Send + 'static {
        run::run(Arc::clone(&self.shared))
    }

    /// Begins nothing new, waits at most this long for calls that are on their way, and ends
    /// [`run`](Self::run). What is not over then is taken over by the next run.
    pub async fn shutdown(&self, grace: Duration) {
        if !self.shared.is_running() {
            return;
        }
        self.shared.phase.send_replace(Phase::Ending(grace));
        let mut phase = self.shared.phase.subscribe();
        // The sender lives in `shared`, so this ends when run() has ended.
        let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
    }

    async fn order(
        &self,
        id: JobId,
        order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order,
    ) -> Result<()> {
        self.check_writable()?;
        let job = self.shared.store.job(id).await?.job;
        let refused = |message: String| Error::new(ErrorKind::Precondition, message);
        if job.outcome.is_some() {
            return Err(refused(format!("job {id} is over or waits for a person")));
        }
        let Some(driver) = self.shared.driver(id) else {
            return Err(
                refused(format!("nothing drives job {id} here")).advise("Spawn run() first")
            );
        };
        let (reply, answer) = oneshot::channel();
        if driver.send(order(reply)).is_ok()
            && let Ok(answered) = answer.await
        {
            return answered;
        }
        match self.shared.store.job(id).await?.job.outcome {
            Some(_) => Err(refused(format!("job {id} ended meanwhile"))),
            None => Err(Error::new(
                ErrorKind::Busy,
                format!("job {id} goes on, and its driver had to begin anew"),
            )
            .advise("Ask again")),
        }
    }

    pub(crate) fn kick(&self, id: JobId) {
        // Without a running engine it waits in the state.
        let _ = self.shared.starts.send(id);
    }

    /// A write that nobody acknowledged may have been made, and then the job has to be driven.
    fn kick_if_unknown<T>(&self, written: &Result<T>, id: JobId) {
        if written
            .as_ref()
            .is_err_and(|error| error.world() == World::Unknown)
        {
            self.kick(id);
        }
    }

    /// The instant it is, by this engine's clock.
    pub fn now(&self) -> jiff::Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.shared.read_only {
            return Err(
                Error::new(ErrorKind::Permission, "it was opened to look only")
                    .advise("Open it without read_only()"),
            );
        }
        Ok(())
    }
}
