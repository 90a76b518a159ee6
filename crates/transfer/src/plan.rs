//! From a wish to a plan: looks at the world and at the archive, changes nothing.

mod export;
mod import;
mod restore;
mod room;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{Digest, Result, Snapshot};
use stillpoint_engine::{Action, CustomRequest, Effect, JobPlan};
use stillpoint_restore::{Plan, PlanBuilder, Step};

use crate::place::Shelf;
use crate::transfer::Inner;
use crate::work::Work;

/// How long a step that moves bytes may take in all.
const MOVING: SignedDuration = SignedDuration::from_hours(24);

/// What a plan is made from.
pub(crate) struct Planner<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) request: &'a CustomRequest,
    pub(crate) now: Timestamp,
}

impl Planner<'_> {
    /// A plan of these steps, or one without any where something stands in the way.
    fn plan(
        &self,
        steps: PlanBuilder<Action>,
        effect: Effect,
        blocked: Vec<String>,
    ) -> Result<JobPlan> {
        let plan = JobPlan::custom(self.request, self.now, steps, blocked)?;
        Ok(JobPlan { effect, ..plan })
    }
}

/// A step of our own.
fn step(name: impl Into<String>, work: &Work, bytes: u64) -> Step<Action> {
    Step::new(name.into(), work.action(Vec::new(), bytes)).deadline(MOVING)
}

/// The last step: what fails to be removed is no reason to take all of it back.
fn tidy(shelf: &Shelf) -> Step<Action> {
    let work = Work::Tidy {
        shelf: shelf.clone(),
    };
    step("tidy", &work, 0)
        .title("remove what was staged")
        .harmless()
        .optional()
}

/// Bytes of all parts.
fn total(snapshot: &Snapshot) -> u64 {
    snapshot.parts.iter().map(|part| part.size).sum()
}

/// What two snapshots of one id must have in common to be the same.
fn content(snapshot: &Snapshot) -> Vec<(&str, u64, Option<Digest>)> {
    let parts = snapshot.parts.iter();
    parts
        .map(|part| (part.disk.as_str(), part.size, part.digest))
        .collect()
}

/// An empty plan to add steps to.
fn steps() -> PlanBuilder<Action> {
    Plan::builder()
}
