use std::collections::BTreeMap;

use stillpoint_core::{Progress, Unit};
use stillpoint_restore::{Call, Plan, StepIx};

use crate::action::Action;

/// The progress of a whole job, from that of its calls.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Bytes of each step, or 1 for each where no step has any.
    weights: Vec<u64>,
    /// How far each step is, in its weight.
    done: BTreeMap<usize, u64>,
    progress: Progress,
}

impl Meter {
    pub(crate) fn new(plan: &Plan<Action>) -> Self {
        let mut weights: Vec<u64> = plan
            .steps()
            .iter()
            .map(|step| step.action.bytes())
            .collect();
        let mut unit = Unit::Bytes;
        if weights.iter().all(|weight| *weight == 0) {
            weights.fill(1);
            unit = Unit::Steps;
        }
        let total = weights.iter().sum();
        Self {
            weights,
            done: BTreeMap::new(),
            progress: Progress::new(unit, total),
        }
    }

    /// A step is this far. Gives the job's progress where that is further than before.
    pub(crate) fn moved(&mut self, call: Call, part: Progress) -> Option<Progress> {
        let Call::Do(step) = call else { return None };
        let weight = self.weight(step);
        // A part of a part: in 128 bits, since both may be sizes of volumes.
        let share = u128::from(weight) * u128::from(part.done()) / u128::from(part.total().max(1));
        self.set(step, u64::try_from(share).unwrap_or(weight))
    }

    /// A step is done.
    pub(crate) fn done(&mut self, call: Call) -> Option<Progress> {
        let Call::Do(step) = call else { return None };
        self.set(step, self.weight(step))
    }

    /// The job is done: whatever was skipped is no longer to be done.
    pub(crate) fn finish(&mut self) -> Option<Progress> {
        let before = self.progress;
        self.progress.finish();
        (self.progress != before).then_some(self.progress)
    }

    fn weight(&self, step: StepIx) -> u64 {
        self.weights.get(step.index()).copied().unwrap_or(0)
    }

    fn set(&mut self, step: StepIx, done: u64) -> Option<Progress> {
        let before = self.progress;
        let slot = self.done.entry(step.index()).or_default();
        *slot = done.max(*slot);
        self.progress.advance_to(self.done.values().sum());
        (self.progress != before).then_some(self.progress)
    }
}
