//! What is kept and what goes: planned by the pure planner, shown, and carried out as one delete
//! job a snapshot.

mod inventory;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, ErrorReport, ResourceRef, Result, SnapshotId};
use stillpoint_schedule::retention::{Decision, Keep, Plan, Reason};

use crate::engine::Engine;
use crate::plan::Claim;
use crate::request::Request;

pub(crate) use self::inventory::Inventory;

/// Snapshots that one prune deletes at the same time; the provider's own limits are kept besides.
const AT_ONCE: usize = 8;

/// Before the snapshot and the instant in the key of each job that deletes for a prune or an
/// expiry. No schedule has such a name, so that it is nobody's run.
const PRUNES: &str = "schedule/prune/";

/// What a schedule's retention would delete and why everything else stays: to read, to store, to
/// [carry out](Engine::prune).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PrunePlan {
    /// The schedule.
    pub schedule: String,
    /// Its policy, as it was.
    pub keep: Keep,
    /// A decision for every snapshot of what the schedule took, with all reasons.
    pub plan: Plan,
    /// The snapshots that the decisions are about.
    pub subjects: BTreeMap<SnapshotId, PruneSubject>,
}

/// What a decision is about, for who reads it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PruneSubject {
    /// The snapshot's name.
    pub name: String,
    /// What it is of.
    pub source: ResourceRef,
}

/// What a prune did.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Pruned {
    /// What was deleted.
    pub deleted: BTreeSet<SnapshotId>,
    /// What should have been and was not, and why: the next prune tries it again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<SnapshotId, ErrorReport>,
    /// Why there was no plan at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<ErrorReport>,
}

impl Engine {
    /// What the retention of a schedule would delete now, with the reasons for every snapshot.
    /// Changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no such schedule, [`ErrorKind::Precondition`] where
    /// it keeps everything. Those of the state.
    pub async fn plan_prune(&self, schedule: &str) -> Result<PrunePlan> {
        let stored = self.ledger().schedule(schedule).await?;
        let keep = stored.value.spec.keep.ok_or_else(|| {
            let message = format!("schedule `{schedule}` has no retention: it keeps everything");
            Error::new(ErrorKind::Precondition, message)
                .advise("Apply it with a policy, such as Keep::new().daily(7)")
        })?;
        self.prune_plan(schedule, &keep, None).await
    }

    /// Deletes just what the plan says, one job a snapshot. To stop, drop the future: what is on
    /// its way ends as a job of its own, and nothing more begins.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] where something that the plan deletes would stay now: a pin, a
    /// restore, a newer one that is gone. Nothing was deleted.
    pub async fn prune(&self, plan: &PrunePlan) -> Result<Pruned> {
        self.check_writable()?;
        let now = self.prune_plan(&plan.schedule, &plan.keep, None).await?;
        plan.plan.still_holds(&now.plan).map_err(|stale| {
            Error::new(ErrorKind::Conflict, stale.to_string())
                .advise("Plan again, and look at what is new")
        })?;
        // The floor is that of now: a snapshot that is gone since protects nothing.
        let mut holds = now;
        holds.plan.deletions.clone_from(&plan.plan.deletions);
        Ok(self.carry_out(&holds).await)
    }

    /// The plan over everything of those resources that the schedule ever took; over these alone,
    /// where they are given.
    pub(crate) async fn prune_plan(
        &self,
        schedule: &str,
        keep: &Keep,
        of: Option<&BTreeSet<ResourceRef>>,
    ) -> Result<PrunePlan> {
        let inventory = Inventory::of_schedule(self, schedule, of).await?;
        let now = self.shared().clock.now();
        let plan = keep.plan(schedule, &inventory.snapshots, now);
        let plan = plan.map_err(|source| {
            Error::new(ErrorKind::Invalid, source.to_string())
                .advise(format!("Apply schedule `{schedule}` with another policy"))
                .because(source)
        })?;
        Ok(PrunePlan {
            schedule: schedule.to_owned(),
            keep: keep.clone(),
            plan,
            subjects: inventory.subjects,
        })
    }

    /// Deletes what a plan that was made just now says.
    pub(crate) async fn carry_out(&self, plan: &PrunePlan) -> Pruned {
        let floors = plan.floors();
        let mut pruned = Pruned::default();
        let ids = plan.deletions();
        let mut deleting = stream::iter(ids)
            .map(|id| {
                let floor = plan
                    .subjects
                    .get(&id)
                    .and_then(|it| floors.get(&it.source))
                    .map_or(&[][..], Vec::as_slice);
                async move { (id, self.delete_above(id, floor).await) }
            })
            .buffer_unordered(AT_ONCE);
        while let Some((id, result)) = deleting.next().await {
            match result {
                Ok(()) => {
                    pruned.deleted.insert(id);
                }
                // Somebody else has done it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(snapshot = %id, %error, "it could not be pruned");
                    pruned.failed.insert(id, error.to_report());
                }
            }
        }
        pruned
    }

    /// Deletes a snapshot while the floor stands: the verified ones that must outlive it.
    async fn delete_above(&self, snapshot: SnapshotId, floor: &[SnapshotId]) -> Result<()> {
        let mut plan = self.plan(&Request::Delete { snapshot }).await?;
        plan.claims
            .extend(floor.iter().copied().map(Claim::KeepGood));
        plan.check_claims();
        // Under a name, by which it is found once it is to be forgotten.
        let name = format!("{PRUNES}{snapshot}/{}", self.now());
        let job = self.start_as(&plan, Some(&name)).await?;
        self.wait(job).await?.into_result().map(|_| ())
    }
}

impl PrunePlan {
    /// The snapshots that it deletes, in order.
    pub fn deletions(&self) -> Vec<SnapshotId> {
        let ids = self.plan.deletions.iter();
        ids.filter_map(|id| id.parse().ok()).collect()
    }

    /// What becomes of a snapshot, with all reasons; none where it is not about that one.
    pub fn decision(&self, snapshot: SnapshotId) -> Option<&Decision> {
        self.plan.decision(&snapshot.to_string())
    }

    /// Of every source: the snapshots that stay because they are the last verified ones.
    fn floors(&self) -> BTreeMap<ResourceRef, Vec<SnapshotId>> {
        let mut floors: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for decision in &self.plan.decisions {
            let is_floor = |reason: &Reason| matches!(reason, Reason::LastVerified { .. });
            if let Ok(id) = decision.id.parse()
                && decision.reasons.iter().any(is_floor)
                && let Some(subject) = self.subjects.get(&id)
            {
                floors.entry(subject.source.clone()).or_default().push(id);
            }
        }
        floors
    }
}

impl Pruned {
    pub(crate) fn refused(error: &Error) -> Self {
        Self {
            refused: Some(error.to_report()),
            ..Self::default()
        }
    }

    /// Whether everything is as the plan wanted it.
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.refused.is_none()
    }
}

impl fmt::Display for PrunePlan {
    /// A page for a person: a line a snapshot, with the reasons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decisions = &self.plan.decisions;
        let goes = self.plan.deletions.len();
        writeln!(
            f,
            "prune `{}`: {goes} go, {} stay",
            self.schedule,
            decisions.len() - goes
        )?;
        for decision in decisions {
            let subject = decision.id.parse().ok();
            let subject = subject.and_then(|id: SnapshotId| self.subjects.get(&id));
            let name = subject.map_or(&*decision.id, |it| &*it.name);
            let mark = if decision.keep { ' ' } else { '-' };
            let reasons: Vec<_> = decision.reasons.iter().map(ToString::to_string).collect();
            writeln!(f, "  {mark} `{name}`: {}", reasons.join(", "))?;
        }
        Ok(())
    }
}
