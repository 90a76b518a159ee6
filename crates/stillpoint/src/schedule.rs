use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use jiff::SignedDuration;
use stillpoint_core::{Consistency, Error, ErrorKind, Result, Snapshot, SnapshotId};
use stillpoint_engine::{
    Engine, Health, Listed, Listing, PrunePlan, Pruned, RunItem, SchedulePlan, ScheduleSpec,
    ScheduleStatus, ScheduledRun, Select, Subject, TakeManner, Warning,
};
use stillpoint_schedule::Schedule;
use stillpoint_schedule::retention::Keep;
use stillpoint_schedule::schedule::Pause;

use crate::Stillpoint;

/// How often a plan is made anew where somebody else applies the same schedule.
const ATTEMPTS: usize = 8;

/// A schedule that is being put together. Nothing happens before it is planned or applied.
#[derive(Clone, Debug)]
#[must_use = "a schedule does nothing before it is planned or applied"]
pub struct ScheduleAsk {
    engine: Engine,
    name: String,
    of: Option<Subject>,
    when: Option<Schedule>,
    manner: TakeManner,
    keep: Option<Keep>,
    stale_after: Result<Option<SignedDuration>>,
}

/// The plan of a schedule, and the engine that can apply it.
#[derive(Clone, Debug)]
pub struct PlannedSchedule {
    engine: Engine,
    plan: SchedulePlan,
}

/// A prune that is asked for: [`plan`](Self::plan) is the dry run, `.await` does it.
#[derive(Clone, Debug)]
#[must_use = "a prune does nothing before it is planned or awaited"]
pub struct Prune {
    engine: Engine,
    schedule: String,
}

/// The plan of a prune, and the engine that can carry it out.
#[derive(Clone, Debug)]
pub struct PlannedPrune {
    engine: Engine,
    plan: PrunePlan,
}

impl ScheduleAsk {
    fn new(engine: Engine, name: String) -> Self {
        Self {
            engine,
            name,
            of: None,
            when: None,
            manner: TakeManner::default(),
            keep: None,
            stale_after: Ok(None),
        }
    }

    /// Of these instances, with all their volumes.
    pub fn instances(self, select: Select) -> Self {
        self.of(Subject::Instances(select))
    }

    /// Of these volumes.
    pub fn volumes(self, select: Select) -> Self {
        self.of(Subject::Volumes(select))
    }

    /// Of the control plane itself, as the executor of this name captures it.
    pub fn manager(self, executor: impl Into<String>) -> Self {
        self.of(Subject::Manager(executor.into()))
    }

    fn of(self, subject: Subject) -> Self {
        Self {
            of: Some(subject),
            ..self
        }
    }

    /// At these times: a [`Cron`](crate::Cron), or a [`Schedule`] with its policies.
    pub fn at(self, when: impl Into<Schedule>) -> Self {
        Self {
            when: Some(when.into()),
            ..self
        }
    }

    /// Keeps this of what it takes. Without it everything stays.
    pub fn keep(self, keep: Keep) -> Self {
        Self {
            keep: Some(keep),
            ..self
        }
    }

    /// How old the last good snapshot of a resource may be before that is an alarm.
    pub fn stale_after<D>(self, after: D) -> Self
    where
        D: TryInto<SignedDuration>,
        D::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stale_after = after.try_into().map(Some).map_err(|source| {
            Error::new(ErrorKind::Invalid, "stale_after is no duration")
                .advise("Use hours, minutes and seconds: a day has no fixed length")
                .because(source)
        });
        Self {
            stale_after,
            ..self
        }
    }

    /// The consistency wished for.
    pub fn prefer(self, level: Consistency) -> Self {
        self.with(|manner| manner.prefer = level)
    }

    /// The least consistency accepted: where it is out of reach, that resource fails.
    pub fn at_least(self, level: Consistency) -> Self {
        self.with(|manner| manner.at_least = level)
    }

    /// Instances may be powered off for as long as the work takes, and are powered on after it,
    /// whatever becomes of that. The budget is for powering them on: so long that is tried, and an
    /// hour at least, before a person is asked.
    pub fn may_power_off(self, budget: Duration) -> Self {
        self.with(|manner| manner.may_power_off = Some(budget))
    }

    /// A label of each snapshot, also set at the provider.
    pub fn label(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|manner| {
            manner.labels.insert(key.into(), value.into());
        })
    }

    /// What each snapshot is, in words.
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.with(|manner| manner.description = description.into())
    }

    /// Does not read the bytes back. What is not verified never counts for retention.
    pub fn without_verification(self) -> Self {
        self.with(|manner| manner.verify = false)
    }

    fn with(mut self, change: impl FnOnce(&mut TakeManner)) -> Self {
        change(&mut self.manner);
        self
    }

    /// The schedule as a value, for [`Engine::plan_schedule`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where it was not said of what, or when.
    pub fn spec(self) -> Result<ScheduleSpec> {
        let name = &self.name;
        let lacks = |what: &str| {
            let message = format!("schedule `{name}` does not say {what}");
            Error::new(ErrorKind::Invalid, message)
        };
        let of = self
            .of
            .ok_or_else(|| lacks("of what").advise("Select instances() or volumes()"));
        let when = self
            .when
            .ok_or_else(|| lacks("when").advise("Give it at(Cron::parse(…)?)"));
        Ok(ScheduleSpec {
            of: of?,
            when: when?,
            manner: self.manner,
            keep: self.keep,
            stale_after: self.stale_after?,
            name: self.name,
        })
    }

    /// What applying it would change, what is odd about it, and its next runs. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`spec`](Self::spec) and of [`Engine::plan_schedule`].
    pub async fn plan(self) -> Result<PlannedSchedule> {
        let engine = self.engine.clone();
        let plan = engine.plan_schedule(&self.spec()?).await?;
        Ok(PlannedSchedule { engine, plan })
    }

    /// Makes the schedule of this name so: a new one, or in place of what there was. Gives what was
    /// changed, with the warnings.
    ///
    /// # Errors
    ///
    /// Those of [`plan`](Self::plan) and of [`Engine::apply_schedule`].
    pub async fn apply(self) -> Result<SchedulePlan> {
        let engine = self.engine.clone();
        let spec = self.spec()?;
        let mut attempts = 1;
        loop {
            let plan = engine.plan_schedule(&spec).await?;
            match engine.apply_schedule(&plan).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                applied => return applied.map(|()| plan),
            }
        }
    }
}

impl PlannedSchedule {
    /// The plan as a value, to read and to store.
    pub fn as_plan(&self) -> &SchedulePlan {
        &self.plan
    }

    /// What its owner may not have meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.plan.warnings
    }

    /// Applies just this plan.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::apply_schedule`].
    pub async fn apply(&self) -> Result<()> {
        self.engine.apply_schedule(&self.plan).await
    }
}

impl Prune {
    /// What would go, and why everything else stays. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::plan_prune`].
    pub async fn plan(self) -> Result<PlannedPrune> {
        let plan = self.engine.plan_prune(&self.schedule).await?;
        Ok(PlannedPrune {
            engine: self.engine,
            plan,
        })
    }
}

impl IntoFuture for Prune {
    type Output = Result<Pruned>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.plan().await?.start().await })
    }
}

impl PlannedPrune {
    /// The plan as a value, to read and to store.
    pub fn as_plan(&self) -> &PrunePlan {
        &self.plan
    }

    /// Deletes just what the plan says, one job a snapshot. Dropping it begins no more of them.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::prune`].
    pub async fn start(&self) -> Result<Pruned> {
        self.engine.prune(&self.plan).await
    }
}

impl std::fmt::Display for PlannedSchedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

impl std::fmt::Display for PlannedPrune {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.plan.fmt(f)
    }
}

/// Schedules, what they keep, and how they are.
impl Stillpoint {
    /// Asks for a schedule of this name, new or changed.
    pub fn schedule(&self, name: impl Into<String>) -> ScheduleAsk {
        ScheduleAsk::new(self.engine().clone(), name.into())
    }

    /// All schedules, by name.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::schedules`].
    pub async fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        self.engine().schedules().await
    }

    /// Pauses a schedule. Runs that fall into the pause are not missed.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::pause_schedule`].
    pub async fn pause_schedule(&self, name: &str, pause: Pause) -> Result<()> {
        self.engine().pause_schedule(name, pause).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::resume_schedule`].
    pub async fn resume_schedule(&self, name: &str) -> Result<()> {
        self.engine().resume_schedule(name).await
    }

    /// Removes a schedule. Its snapshots stay.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::remove_schedule`].
    pub async fn remove_schedule(&self, name: &str) -> Result<()> {
        self.engine().remove_schedule(name).await
    }

    /// What became of a schedule's runs, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::schedule_runs`].
    pub async fn schedule_runs(&self, name: &str) -> Result<Vec<ScheduledRun>> {
        self.engine().schedule_runs(name).await
    }

    /// What became of each resource in a run.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::run_items`].
    pub async fn run_items(&self, run: &ScheduledRun) -> Result<Vec<RunItem>> {
        self.engine().run_items(run).await
    }

    /// Asks for what a schedule does not keep to be deleted now, and not only after its next run.
    pub fn prune(&self, schedule: impl Into<String>) -> Prune {
        Prune {
            engine: self.engine().clone(),
            schedule: schedule.into(),
        }
    }

    /// Has a snapshot deleted so long from now, by whatever engine runs then. A pin wins, and so
    /// does being the last good one of its source. In the audit it is by `somebody`: to say who,
    /// ask [`by`](Self::by).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such snapshot, [`ErrorKind::Invalid`] where that
    /// is beyond all time.
    pub async fn expire(&self, snapshot: SnapshotId, after: Duration) -> Result<Snapshot> {
        let at = self.engine().now().checked_add(after).map_err(|source| {
            Error::new(ErrorKind::Invalid, "this expiry is beyond all time").because(source)
        })?;
        Ok(self
            .by("somebody")
            .expire(snapshot, Some(at))
            .await?
            .snapshot)
    }

    /// How all schedules are now, with everything that is wrong.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::health`].
    pub async fn health(&self) -> Result<Health> {
        self.engine().health().await
    }

    /// What is scheduled and what was taken, in one list.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::list`].
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Listed>> {
        self.engine().list(listing).await
    }
}
