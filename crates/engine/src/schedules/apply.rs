//! Schedules are applied, not created: the same name is the same schedule.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, ResourceRef, Result};
use stillpoint_schedule::preview::{Planned, Upcoming, preview};
use stillpoint_schedule::schedule::Pause;
use stillpoint_schedule::{Run, Schedule};
use stillpoint_state::{Batch, Guard, Revision};

use super::ledger::{At, LastRun, Progress, Stored};
use super::run::{RunItem, ScheduledRun};
use super::select::Subject;
use super::spec::ScheduleSpec;
use super::warning::Warning;
use crate::engine::Engine;
use crate::store::ATTEMPTS;

/// How far a plan looks ahead for overlaps and gaps, and how much of that it shows.
const AHEAD: usize = 50;
const SHOWN: usize = 5;

/// A run that is further away than this is worth a warning.
const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What applying a schedule would change: to read, to store, to [apply](Engine::apply_schedule).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SchedulePlan {
    /// The schedule.
    pub spec: ScheduleSpec,
    /// What becomes of the one of its name.
    pub change: Applied,
    /// When it was made.
    pub made_at: Timestamp,
    /// The version of the schedule that it was made against; none: there was none.
    pub was: Option<Revision>,
    /// What its owner may not have meant.
    pub warnings: Vec<Warning>,
    /// The next runs.
    pub next: Vec<Upcoming>,
    /// What it selects now. Every run looks anew.
    pub selects: Vec<ResourceRef>,
}

/// What applying does to the schedule of that name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// There was none.
    Created,
    /// It is so already.
    Unchanged,
    /// These parts of it change.
    Updated(Vec<String>),
}

/// A schedule as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScheduleStatus {
    /// As it was applied.
    pub spec: ScheduleSpec,
    /// Whether an operator paused it. Applying it again does not change that.
    pub paused: Option<Pause>,
    /// When there first was one of this name.
    pub created_at: Timestamp,
    /// Up to when its runs are settled: fired, or given up as missed.
    pub settled: Timestamp,
    /// The next run; none where there is none to come.
    pub next: Option<Run>,
    /// How the last run ended.
    pub last: Option<LastRun>,
}

impl Engine {
    /// What applying this schedule would change. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for what could never work: a name that is none, a policy that keeps
    /// nothing. [`ErrorKind::NotFound`] for a provider or an executor that is not registered.
    /// [`ErrorKind::Unsupported`] where a provider takes no such snapshots.
    pub async fn plan_schedule(&self, spec: &ScheduleSpec) -> Result<SchedulePlan> {
        let now = self.shared().clock.now();
        spec.check(now)?;
        let mut warnings = self.check_subject(spec).await?;
        let stored = self.ledger().find(&spec.name).await?;
        let was = stored.as_ref().map(|stored| stored.version);
        let paused = stored.as_ref().and_then(|stored| stored.value.paused);
        let took = match &stored {
            Some(_) => self.ledger().progress(&spec.name).await?.value.last,
            None => None,
        };
        let schedule = spec.effective(paused);
        let mut next = upcoming(&spec.name, &schedule, now, took.map(|last| last.took));
        warnings.extend(odd(spec, paused, &next, now));
        next.truncate(SHOWN);
        let found = spec.of.find(&self.shared().workshop.providers).await?;
        if found.resources.is_empty() && found.unreachable.is_empty() {
            warnings.push(Warning::SelectsNothing);
        }
        warnings.extend(found.unreachable.into_iter().map(Warning::Unreachable));
        Ok(SchedulePlan {
            change: change(stored.as_ref(), spec),
            spec: spec.clone(),
            made_at: now,
            was,
            warnings,
            next,
            selects: found.resources.into_iter().collect(),
        })
    }

    /// Makes the schedule what the plan says. Runs that are due are fired by [`run`](Self::run).
    ///
    /// Where its times change, they count from now on: nothing is missed that was never promised.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where somebody changed the schedule since the plan was made.
    pub async fn apply_schedule(&self, plan: &SchedulePlan) -> Result<()> {
        self.check_writable()?;
        let now = self.shared().clock.now();
        plan.spec.check(now)?;
        let name = &plan.spec.name;
        for _ in 0..ATTEMPTS {
            let stored = self.ledger().find(name).await?;
            if stored.as_ref().map(|stored| stored.version) != plan.was {
                let message = format!("schedule `{name}` is not what it was");
                return Err(Error::new(ErrorKind::Conflict, message)
                    .advise("Plan again, and look at what is new"));
            }
            if stored.as_ref().is_some_and(|it| it.value.spec == plan.spec) {
                return Ok(());
            }
            let next = Stored {
                spec: plan.spec.clone(),
                paused: stored.as_ref().and_then(|it| it.value.paused),
                created_at: stored.as_ref().map_or(now, |it| it.value.created_at),
            };
            if self.put(stored.as_ref(), &next, now).await? {
                return Ok(());
            }
        }
        Err(busy(name))
    }

    /// All schedules, by name.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn schedules(&self) -> Result<Vec<ScheduleStatus>> {
        let schedules = self.ledger().schedules().await?;
        let mut all = Vec::with_capacity(schedules.len());
        for stored in schedules {
            match self.ledger().progress(&stored.value.spec.name).await {
                Ok(progress) => all.push(self.status(stored.value, progress.value)),
                // It was removed since the list was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// One schedule.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is none of this name.
    pub async fn schedule(&self, name: &str) -> Result<ScheduleStatus> {
        let stored = self.ledger().schedule(name).await?;
        let progress = self.ledger().progress(name).await?;
        Ok(self.status(stored.value, progress.value))
    }

    /// What became of its runs, oldest first: those that were fired, and those that were missed.
    /// The ledger outlives the schedule. It has the last 100 runs, and all that ended in the last
    /// 31 days.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn schedule_runs(&self, name: &str) -> Result<Vec<ScheduledRun>> {
        self.ledger().runs(name).await
    }

    /// What became of each resource in a run, by resource.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn run_items(&self, run: &ScheduledRun) -> Result<Vec<RunItem>> {
        self.ledger().items(&run.key()).await
    }

    /// Pauses a schedule. Runs that fall into the pause are not missed: nobody wants them. Those
    /// that are going go on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is none of this name.
    pub async fn pause_schedule(&self, name: &str, pause: Pause) -> Result<()> {
        self.set_pause(name, Some(pause)).await
    }

    /// Ends a pause. The runs from now on count.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is none of this name.
    pub async fn resume_schedule(&self, name: &str) -> Result<()> {
        self.set_pause(name, None).await
    }

    /// Removes a schedule. Its snapshots stay, and so does the ledger; what is going goes on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is none of this name.
    pub async fn remove_schedule(&self, name: &str) -> Result<()> {
        self.check_writable()?;
        for _ in 0..ATTEMPTS {
            let stored = self.ledger().schedule(name).await?;
            let mut batch = Batch::new();
            self.ledger().remove(&mut batch, &stored);
            match self.ledger().state.commit(batch).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                other => return other.map(|_| ()),
            }
        }
        Err(busy(name))
    }

    async fn set_pause(&self, name: &str, paused: Option<Pause>) -> Result<()> {
        self.check_writable()?;
        for _ in 0..ATTEMPTS {
            let stored = self.ledger().schedule(name).await?;
            if stored.value.paused == paused {
                return Ok(());
            }
            let next = Stored {
                paused,
                ..stored.value.clone()
            };
            let now = self.shared().clock.now();
            if self.put(Some(&stored), &next, now).await? {
                return Ok(());
            }
        }
        Err(busy(name))
    }

    /// Writes a schedule in place of what there was; tells whether nobody came between.
    async fn put(&self, was: Option<&At<Stored>>, next: &Stored, now: Timestamp) -> Result<bool> {
        let name = &next.spec.name;
        let mut batch = Batch::new();
        match was {
            None => {
                let fresh = Progress {
                    since: now,
                    last: None,
                    missed: None,
                };
                self.ledger().put_spec(&mut batch, Guard::Absent, next)?;
                let guard = Guard::Absent;
                self.ledger()
                    .put_progress(&mut batch, name, guard, &fresh)?;
            }
            Some(was) => {
                let before = was.value.spec.effective(was.value.paused);
                if before != next.spec.effective(next.paused) {
                    let mut progress = self.ledger().progress(name).await?;
                    progress.value.since = now;
                    let guard = Guard::At(progress.version);
                    self.ledger()
                        .put_progress(&mut batch, name, guard, &progress.value)?;
                }
                let guard = Guard::At(was.version);
                self.ledger().put_spec(&mut batch, guard, next)?;
            }
        }
        match self.ledger().state.commit(batch).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            other => other.map(|_| true),
        }
    }

    fn status(&self, stored: Stored, progress: Progress) -> ScheduleStatus {
        let schedule = stored.spec.effective(stored.paused);
        let now = self.shared().clock.now();
        ScheduleStatus {
            next: schedule.next_after(now).ok().flatten(),
            spec: stored.spec,
            paused: stored.paused,
            created_at: stored.created_at,
            settled: progress.since,
            last: progress.last,
        }
    }

    /// Refuses what no provider or executor can do, and warns of what none can verify.
    async fn check_subject(&self, spec: &ScheduleSpec) -> Result<Vec<Warning>> {
        let workshop = &self.shared().workshop;
        if let Subject::Manager(executor) = &spec.of {
            workshop.check_manager(executor)?;
            return Ok(Vec::new());
        }
        let mut warnings = Vec::new();
        if spec.keep.is_some() && !spec.manner.verify {
            warnings.push(Warning::NeverVerified { provider: None });
        }
        for (provider, kind) in spec.of.providers(&workshop.providers)? {
            let can = match provider.capabilities().await {
                Ok(can) => can,
                Err(error) => {
                    warnings.push(Warning::Unreachable(error.to_report()));
                    continue;
                }
            };
            if !can.snapshots.contains_key(&kind) {
                let message = format!(
                    "schedule `{}`: provider {provider} takes no snapshots of a {kind}",
                    spec.name
                );
                return Err(Error::new(ErrorKind::Unsupported, message)
                    .advise("Enable snapshots there, or select what another provider has"));
            }
            if spec.keep.is_some() && spec.manner.verify && provider.bytes().is_none() {
                let provider = Some(provider.to_string());
                warnings.push(Warning::NeverVerified { provider });
            }
        }
        Ok(warnings)
    }
}

fn upcoming(
    name: &str,
    schedule: &Schedule,
    now: Timestamp,
    takes: Option<SignedDuration>,
) -> Vec<Upcoming> {
    let planned = Planned {
        name,
        schedule,
        takes,
    };
    preview(&[planned], now, AHEAD)
}

fn odd(
    spec: &ScheduleSpec,
    paused: Option<Pause>,
    next: &[Upcoming],
    now: Timestamp,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    match (next.first(), paused) {
        (_, Some(pause)) => warnings.push(Warning::Paused(pause)),
        (None, None) => warnings.push(Warning::NeverFires),
        (Some(first), None) if first.run.at.duration_since(now) > YEAR => {
            warnings.push(Warning::FiresLate { next: first.run });
        }
        _ => {}
    }
    if spec.keep.is_none() {
        warnings.push(Warning::KeepsEverything);
    }
    let overlapped = next
        .iter()
        .find_map(|it| Some((it.run, it.overlaps.as_ref()?)));
    warnings.extend(overlapped.map(|(run, overlapped)| Warning::Overlaps {
        at: run.at,
        by: overlapped.by,
    }));
    let between = next
        .windows(2)
        .map(|pair| pair[1].run.at.duration_since(pair[0].run.at))
        .max();
    if let (Some(between), Some(stale_after)) = (between, spec.stale_after)
        && between > stale_after
    {
        warnings.push(Warning::StaleBetweenRuns {
            between,
            stale_after,
        });
    }
    warnings
}

fn change(stored: Option<&At<Stored>>, spec: &ScheduleSpec) -> Applied {
    let Some(stored) = stored else {
        return Applied::Created;
    };
    let was = &stored.value.spec;
    let parts = [
        ("of", was.of != spec.of),
        ("when", was.when != spec.when),
        ("manner", was.manner != spec.manner),
        ("keep", was.keep != spec.keep),
        ("stale_after", was.stale_after != spec.stale_after),
    ];
    let changed: Vec<String> = parts
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(part, _)| part.to_owned())
        .collect();
    if changed.is_empty() {
        Applied::Unchanged
    } else {
        Applied::Updated(changed)
    }
}

fn busy(name: &str) -> Error {
    let message = format!("schedule `{name}` is changed faster than it can be changed");
    Error::new(ErrorKind::Busy, message).advise("Try again")
}

impl fmt::Display for SchedulePlan {
    /// A page for a person: what changes, what is odd, what it selects, the next runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.spec.name;
        match &self.change {
            Applied::Created => writeln!(f, "schedule `{name}` is new: {}", self.spec.of)?,
            Applied::Unchanged => writeln!(f, "schedule `{name}` stays as it is")?,
            Applied::Updated(parts) => {
                writeln!(f, "schedule `{name}` changes: {}", parts.join(", "))?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        writeln!(f, "  selects {} now", self.selects.len())?;
        for upcoming in &self.next {
            writeln!(f, "  next {} ({})", upcoming.run.wall, upcoming.run.at)?;
        }
        Ok(())
    }
}
