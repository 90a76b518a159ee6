//! The machine: a plan and what has happened to it so far.

mod apply;
mod due;
mod end;
mod errors;
mod fall;
mod legal;
mod may;
pub(crate) mod state;
mod tree;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::{
    due::Directive,
    end::{Outcome, Trouble},
    errors::{ApplyError, ReplayError, StopRefused},
    tree::Tree,
};
use crate::{BracketIx, Call, Phase, Plan, Record, StepIx};
use state::{At, Flow, State};

/// A plan and what has happened to it so far: feed it records, ask it what to do.
///
/// It has no clock and does nothing itself. Two machines of one plan that were given the same records are equal, so
/// what a machine says after a crash is what it said before.
///
/// `A` is what steps do, `O` what they give back; the machine looks into neither. Cloning is cheap in the plan and
/// linear in the number of steps.
#[derive(Debug)]
pub struct Machine<A, O> {
    pub(crate) plan: Arc<Plan<A>>,
    pub(crate) state: State<O>,
    /// The guard that a test has switched off.
    #[cfg(test)]
    pub(crate) off: Option<crate::check::Guard>,
}

impl<A, O> Machine<A, O> {
    /// A machine to which nothing has happened yet.
    pub fn new(plan: impl Into<Arc<Plan<A>>>) -> Self {
        let plan = plan.into();
        let state = State::new(
            plan.steps().len(),
            plan.brackets().len(),
            plan.groups().len(),
        );
        Self {
            plan,
            state,
            #[cfg(test)]
            off: None,
        }
    }

    /// The plan it runs.
    pub fn plan(&self) -> &Plan<A> {
        &self.plan
    }

    /// The epoch of the driver whose records it takes; 0 before the first [`Event::Recovered`](crate::Event::Recovered).
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// The latest time it has seen in a record.
    pub fn clock(&self) -> Timestamp {
        self.state.clock
    }

    /// The durable key of a call's effect: `<job>/do/snapshot/root`, with `~2` and so on behind it where the call is
    /// made anew after its first result was removed. All attempts share it.
    ///
    /// # Panics
    /// If the call is of another, larger plan.
    pub fn key(&self, job: &str, call: Call) -> String {
        let (name, round) = match call {
            Call::Acquire(ix) | Call::Release(ix) => (
                &self.plan.bracket(ix).name,
                self.state.brackets[ix.index()].round,
            ),
            Call::Do(ix) => (&self.plan.step(ix).name, self.state.steps[ix.index()].round),
            // A sweep's number and the one undo are never used twice.
            Call::Sweep { step, .. } | Call::Undo(step) => (&self.plan.step(step).name, 0),
        };
        let verb = call.verb();
        match (call, round) {
            (Call::Sweep { extra, .. }, _) => format!("{job}/{verb}/{name}~{}", extra + 1),
            (_, 0) => format!("{job}/{verb}/{name}"),
            (_, round) => format!("{job}/{verb}/{name}~{}", round + 1),
        }
    }

    /// The number that the call's next [`Begun`](crate::Event::Begun) must carry: 1 for the first.
    pub fn attempt(&self, call: Call) -> u32 {
        self.slot(call).map_or(1, |slot| slot.attempt + 1)
    }

    /// The system's name for the running operation, if a record told it.
    pub fn ticket(&self, call: Call) -> Option<&str> {
        self.slot(call)?.ticket.as_deref()
    }

    /// Whether the call has begun and its end is not known: a driver of this epoch executes or observes it.
    pub fn in_flight(&self, call: Call) -> bool {
        self.slot(call).is_some_and(|slot| slot.at.in_flight())
    }

    /// What a step gave back, if it is done and was not swept for another round.
    pub fn output(&self, step: StepIx) -> Option<&O> {
        self.state.steps.get(step.index())?.output.as_ref()
    }

    /// What a bracket's acquiring gave back, while it is held.
    pub fn held(&self, bracket: BracketIx) -> Option<&O> {
        self.state.brackets.get(bracket.index())?.held.as_ref()
    }

    /// What a [`Call::Sweep`] is to remove.
    pub fn extra(&self, step: StepIx, extra: u32) -> Option<&O> {
        Some(
            &self
                .state
                .steps
                .get(step.index())?
                .extras
                .get(extra as usize)?
                .what,
        )
    }

    /// Which way it goes.
    pub fn mode(&self) -> Mode {
        match &self.state.flow {
            _ if self.outcome().is_some() => Mode::Ended,
            _ if self.state.stuck > 0 => Mode::Halting,
            Flow::Forward => Mode::Forward,
            Flow::Unwinding { .. } => Mode::Unwinding,
        }
    }

    /// Where it is: the earliest phase that is not over, or the last one.
    pub fn phase(&self) -> Phase {
        if !self.state.begun() {
            return Phase::Requested;
        }
        let open = |(ix, _): &(StepIx, _)| !self.over(*ix);
        let phases = || (0..).map(StepIx).zip(self.plan.steps());
        let first_open = phases().filter(open).map(|(_, step)| step.phase).min();
        let last = phases().map(|(_, step)| step.phase).max();
        first_open.or(last).unwrap_or(Phase::Requested)
    }

    /// How many steps are over, of all or of one phase.
    pub fn progress(&self, phase: Option<Phase>) -> Progress {
        let mut progress = Progress {
            done: 0,
            failed: 0,
            undone: 0,
            total: 0,
        };
        for (ix, step) in (0..).map(StepIx).zip(self.plan.steps()) {
            if phase.is_some_and(|phase| phase != step.phase) {
                continue;
            }
            let state = &self.state.steps[ix.index()];
            progress.total += 1;
            if state.undo.at == At::Done {
                progress.undone += 1;
            } else if state.run.at == At::Done {
                progress.done += 1;
            } else if state.skipped || state.run.at == At::Failed {
                progress.failed += 1;
            }
        }
        progress
    }

    /// What a person reads: the plan as a tree, with the state of each step and bracket.
    pub fn tree(&self) -> Tree {
        Tree::of_machine(self)
    }
}

impl<A, O: Clone> Machine<A, O> {
    /// The machine after these records.
    ///
    /// # Errors
    /// [`ReplayError`] with the number of the first record that does not fit: the journal is of another plan, is
    /// damaged, or was written by a driver that had lost its lease.
    pub fn replay<'a>(
        plan: impl Into<Arc<Plan<A>>>,
        records: impl IntoIterator<Item = &'a Record<O>>,
    ) -> Result<Self, ReplayError>
    where
        O: 'a,
    {
        let mut machine = Self::new(plan);
        for (number, record) in records.into_iter().enumerate() {
            machine
                .apply(record)
                .map_err(|source| ReplayError { number, source })?;
        }
        Ok(machine)
    }

    /// Takes a record in: the only way a machine ever changes, live and in replay.
    ///
    /// # Errors
    /// [`ApplyError`] if the record can't have happened here; the machine is then as it was. A driver asks
    /// [`check`](Self::check) before it makes a record durable.
    pub fn apply(&mut self, record: &Record<O>) -> Result<(), ApplyError> {
        self.check(record)?;
        self.transit(record);
        Ok(())
    }
}

impl<A, O: Clone> Clone for Machine<A, O> {
    fn clone(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            state: self.state.clone(),
            #[cfg(test)]
            off: self.off,
        }
    }
}

impl<A: PartialEq, O: PartialEq> PartialEq for Machine<A, O> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
            && (Arc::ptr_eq(&self.plan, &other.plan) || self.plan == other.plan)
    }
}

impl<A: Eq, O: Eq> Eq for Machine<A, O> {}

/// Which way a machine goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Mode {
    /// It is over; [`Machine::outcome`] says how.
    Ended,
    /// Towards completion.
    Forward,
    /// Something needs an operator: nothing new begins, what runs ends, what can be released is.
    Halting,
    /// Back to where it started.
    Unwinding,
}

/// How far a machine is, in steps.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Progress {
    /// Steps that took effect and were not undone. A group that restarts takes its own back.
    pub done: usize,
    /// Steps that failed for good, or were skipped because of that.
    pub failed: usize,
    /// Steps in all.
    pub total: usize,
    /// Steps that were undone.
    pub undone: usize,
}
