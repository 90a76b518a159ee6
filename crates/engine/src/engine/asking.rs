//! From a request to a plan, and from a plan to a durable job.

use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, JobId, Result, Snapshot};
use stillpoint_iaas::ProviderExt;
use stillpoint_state::claims::Subject;

use super::Engine;
use crate::event::What;
use crate::plan::{Effect, JobPlan};
use crate::planning::{Planner, Restoring, find};
use crate::request::{Request, Restore};
use crate::store::new_job;

impl Engine {
    /// The plan of a request: looks at the world, changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where what it names does not exist, [`ErrorKind::Unsupported`]
    /// where its provider could never do it. What only stands in the way just now is in the
    /// plan's [`blocked_by`](JobPlan::blocked_by).
    pub async fn plan(&self, request: &Request) -> Result<JobPlan> {
        let mut plan = self.planned(request).await?;
        plan.check_claims();
        Ok(plan)
    }

    async fn planned(&self, request: &Request) -> Result<JobPlan> {
        let shared = &self.shared;
        let planner = Planner {
            workshop: &shared.workshop,
            now: shared.clock.now(),
        };
        match request {
            Request::Accept { job } => {
                let (hold, _) = shared.store.hold(*job).await?;
                let row = shared.store.catalogue.get(hold.safety).await?;
                planner
                    .delete(request.clone(), &row.snapshot, Some(*job))
                    .await
            }
            Request::Capture {
                executor,
                name,
                schedule,
            } => {
                let request = request.clone();
                planner
                    .capture(request, executor, name, schedule.as_deref())
                    .await
            }
            Request::Custom(custom) => {
                let planner = shared.planners.get(&custom.planner).ok_or_else(|| {
                    let message = format!("nobody plans requests of `{}`", custom.planner);
                    Error::new(ErrorKind::NotFound, message)
                        .advise("Register a planner of that name with the builder")
                })?;
                planner.plan(custom, shared.clock.now()).await
            }
            Request::Delete { snapshot } => {
                let row = shared.store.catalogue.get(*snapshot).await?;
                let mut plan = if shared.workshop.is_manager(&row.snapshot.source) {
                    let captured = self.captured(&row.snapshot).await?;
                    planner.discard_captured(request.clone(), &row.snapshot, captured)?
                } else {
                    planner.delete(request.clone(), &row.snapshot, None).await?
                };
                self.note_users(&row.snapshot, &mut plan).await?;
                Ok(plan)
            }
            Request::Remove { resource } => {
                let orphans = self.orphans(resource.provider()).await?;
                planner.remove(request.clone(), resource, &orphans).await
            }
            Request::Restore(ask) => {
                let row = shared.store.catalogue.get(ask.snapshot).await?;
                let (request, snapshot) = (request.clone(), &row.snapshot);
                planner
                    .restore(&Restoring {
                        request,
                        ask,
                        snapshot,
                        undoes: None,
                    })
                    .await
            }
            Request::Take(ask) => planner.take(ask).await,
            Request::Undo { job } => {
                let (hold, _) = shared.store.hold(*job).await?;
                let row = shared.store.catalogue.get(hold.safety).await?;
                let ask = Restore {
                    may_power_off: self.allowed(*job).await?,
                    ..Restore::in_place(hold.safety)
                };
                let (request, snapshot) = (request.clone(), &row.snapshot);
                let undoes = Some(*job);
                planner
                    .restore(&Restoring {
                        request,
                        ask: &ask,
                        snapshot,
                        undoes,
                    })
                    .await
            }
        }
    }

    /// Makes the job of a plan durable. It is driven as soon as the engine [runs](Self::run).
    ///
    /// # Errors
    ///
    /// Everything that blocks it, in one error; [`ErrorKind::Conflict`] where a target is no
    /// longer as it was when the plan was made; [`ErrorKind::Busy`] naming the job that another
    /// one has to wait for. Nothing was changed.
    pub async fn start(&self, plan: &JobPlan) -> Result<JobId> {
        self.start_as(plan, None).await
    }

    /// Plans and starts a request once for this key: whoever asks again, even after a restart,
    /// gets the same job.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan) and [`start`](Self::start); [`ErrorKind::Conflict`] where the key
    /// stands for another request already.
    pub async fn start_once(&self, request: &Request, key: &str) -> Result<JobId> {
        match self.started(request, key).await? {
            Some(job) => Ok(job),
            None => {
                let plan = self.plan(request).await?;
                self.start_plan_once(&plan, key).await
            }
        }
    }

    /// Starts this plan once for this key. Who asks again may have planned anew: what counts is
    /// the request.
    ///
    /// # Errors
    ///
    /// As [`start_once`](Self::start_once).
    pub async fn start_plan_once(&self, plan: &JobPlan, key: &str) -> Result<JobId> {
        if let Some(job) = self.started(&plan.request, key).await? {
            return Ok(job);
        }
        match self.start_as(plan, Some(key)).await {
            // Somebody else was first: take theirs. Any other conflict stays one.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.started(&plan.request, key).await?.ok_or(error)
            }
            other => other,
        }
    }

    /// The job that this key stands for already.
    async fn started(&self, request: &Request, key: &str) -> Result<Option<JobId>> {
        let Some(job) = self.shared.store.once(key).await? else {
            return Ok(None);
        };
        let started = self.shared.store.job(job).await?.job;
        if started.request != *request {
            let message = format!("`{key}` stands for another request: {}", started.request);
            return Err(Error::new(ErrorKind::Conflict, message).advise("Use another key"));
        }
        // Whoever started it may have got no answer, and so nobody drives it yet.
        if started.outcome.is_none() {
            self.kick(job);
        }
        Ok(Some(job))
    }

    pub(crate) async fn start_as(&self, plan: &JobPlan, once: Option<&str>) -> Result<JobId> {
        self.check_writable()?;
        if let Some(blocked) = plan.blocked() {
            return Err(blocked);
        }
        self.check_targets(plan).await?;
        let shared = &self.shared;
        let now = shared.clock.now();
        let mut job = new_job(shared.job_id()?, plan, now);
        if matches!(plan.effect, Effect::Safeguard { .. } | Effect::Take { .. }) {
            job.snapshot = Some(shared.snapshot_id(now)?);
        }
        let begun = shared.store.begin(&job, plan, once).await;
        self.kick_if_unknown(&begun, job.id);
        begun?;
        shared.tell(job.id, What::Started);
        self.kick(job.id);
        Ok(job.id)
    }

    /// Refuses a plan whose targets are not what they were.
    async fn check_targets(&self, plan: &JobPlan) -> Result<()> {
        let mut changed = Vec::new();
        for target in &plan.targets {
            let provider = find(&self.shared.workshop.providers, target.resource.provider())?;
            match provider.find(&target.resource).await? {
                None => changed.push(format!("{} is gone", target.resource)),
                Some(now) if now.fingerprint != target.fingerprint => {
                    changed.push(format!("{} is not what it was", target.resource));
                }
                Some(_) => {}
            }
        }
        let Some((first, rest)) = changed.split_first() else {
            return Ok(());
        };
        let error = Error::new(
            ErrorKind::Conflict,
            format!("the plan is out of date: {first}"),
        );
        Err(rest
            .iter()
            .fold(error, Error::reason)
            .advise("Plan again, and look at what is new"))
    }

    /// Notes in a plan to delete a snapshot who needs it.
    async fn note_users(&self, snapshot: &Snapshot, plan: &mut JobPlan) -> Result<()> {
        let claim = self
            .shared
            .store
            .claims
            .get(&Subject::Snapshot(snapshot.id))
            .await?;
        for job in claim.jobs() {
            plan.blocked_by
                .push(match self.shared.store.hold(job).await {
                    Ok(_) => {
                        format!("restore {job} keeps it as its way back: undo or accept that first")
                    }
                    Err(_) => format!("job {job} works with it"),
                });
            plan.steps = None;
        }
        Ok(())
    }

    /// Whether a restore was allowed to power its target off: then so is its undo.
    async fn allowed(&self, restore: JobId) -> Result<Option<Duration>> {
        Ok(match self.shared.store.job(restore).await?.job.request {
            Request::Restore(ask) => ask.may_power_off,
            _ => None,
        })
    }
}
