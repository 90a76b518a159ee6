//! What is to be done next: for each call, one question and one answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Machine,
    state::{At, Flow},
};
use crate::{BracketIx, Call, Hold, StepIx, guard::guard};

/// What a driver is to do. It knows itself which of these it is already doing.
///
/// Each but [`Observe`](Self::Observe) begins with a record that is durable before anything else is done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Directive {
    /// Stop waiting for the call: record [`Event::Abandoned`](crate::Event::Abandoned), no more. Its time is over.
    Abandon(Call),
    /// Record [`Event::Begun`](crate::Event::Begun), then make the call under its key, then record what came of it.
    Begin(Call),
    /// Record [`Event::Cancelling`](crate::Event::Cancelling), then ask the system to cancel the call. Next it will be
    /// to observe.
    Cancel(Call),
    /// Ask the system, by the call's key, what became of it, for as long as it says "running"; then record what it said.
    Observe(Call),
}

impl Directive {
    /// The call it is about.
    pub fn call(self) -> Call {
        match self {
            Self::Abandon(call) | Self::Begin(call) | Self::Cancel(call) | Self::Observe(call) => {
                call
            }
        }
    }
}

/// What is next for one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Not before this instant.
    At(Timestamp),
    /// Nothing, unless something else happens.
    Never,
    Now(Directive),
}

impl Next {
    fn from(when: Timestamp, now: Timestamp, directive: Directive) -> Self {
        if when <= now {
            Self::Now(directive)
        } else {
            Self::At(when)
        }
    }

    /// Whichever comes first; of two that are due, this.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now(_), _) | (_, Self::Never) => self,
            (_, Self::Now(_)) | (Self::Never, _) => other,
            (Self::At(this), Self::At(that)) => Self::At(this.min(that)),
        }
    }
}

impl<A, O> Machine<A, O> {
    /// All that is to be done at this time, in the order of the plan. The same machine at the same time says the same.
    ///
    /// A call that was begun and whose end is not known stands here only when it is to be observed, cancelled or
    /// abandoned; the driver that began it goes on waiting for its reply.
    pub fn ready(&self, now: Timestamp) -> Vec<Directive> {
        let now = now.max(self.state.clock);
        self.calls()
            .filter_map(|call| match self.next(call, now) {
                Next::Now(directive) => Some(directive),
                Next::At(_) | Next::Never => None,
            })
            .collect()
    }

    /// When [`ready`](Self::ready) will say more than now, if nothing happens until then.
    pub fn wakeup(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.max(self.state.clock);
        self.calls()
            .filter_map(|call| match self.next(call, now) {
                Next::At(when) => Some(when),
                // Something may be due now, and a deadline later.
                Next::Now(Directive::Observe(_)) => self.limit(call, now),
                Next::Now(_) | Next::Never => None,
            })
            .min()
    }

    /// All calls that exist at present.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Call> + '_ {
        let brackets = (0..).map(BracketIx).take(self.state.brackets.len());
        let steps = (0..).map(StepIx).zip(&self.state.steps);
        let of_brackets = brackets.flat_map(|ix| [Call::Acquire(ix), Call::Release(ix)]);
        of_brackets.chain(steps.flat_map(|(step, state)| {
            let sweeps = (0..state.extras.len()).map(move |extra| Call::Sweep {
                step,
                extra: extra as u32,
            });
            [Call::Do(step), Call::Undo(step)].into_iter().chain(sweeps)
        }))
    }

    pub(super) fn next(&self, call: Call, now: Timestamp) -> Next {
        let Some(slot) = self.slot(call) else {
            return Next::Never;
        };
        match slot.at {
            At::Done | At::Failed | At::Stuck => Next::Never,
            At::Idle { from } => {
                if self.may_begin(call).is_err() {
                    return Next::Never;
                }
                match slot.deadline {
                    Some(deadline) if slot.tries > 0 && deadline <= now => {
                        Next::Now(Directive::Abandon(call))
                    }
                    _ => Next::from(from, now, Directive::Begin(call)),
                }
            }
            At::Running => self.interrupt(call, now),
            At::Unsure { look } => {
                self.interrupt(call, now)
                    .or(Next::from(look, now, Directive::Observe(call)))
            }
        }
    }

    /// Whether a call that is in flight is to be cancelled or abandoned.
    fn interrupt(&self, call: Call, now: Timestamp) -> Next {
        let Some(slot) = self.slot(call) else {
            return Next::Never;
        };
        let cancel = self.cancellable(call) && !slot.cancelled;
        if cancel && self.unwanted(call) {
            return Next::Now(Directive::Cancel(call));
        }
        let directive = if cancel {
            Directive::Cancel(call)
        } else {
            Directive::Abandon(call)
        };
        slot.deadline
            .map_or(Next::Never, |deadline| Next::from(deadline, now, directive))
    }

    fn limit(&self, call: Call, now: Timestamp) -> Option<Timestamp> {
        match self.interrupt(call, now) {
            Next::At(when) => Some(when),
            Next::Never | Next::Now(_) => None,
        }
    }

    /// A half-done pivot is the worst there is, and nobody gains from half an undo: those are waited for.
    fn cancellable(&self, call: Call) -> bool {
        match call {
            Call::Acquire(_) => true,
            Call::Do(step) => self.plan.order().pivot != Some(step),
            Call::Release(_) | Call::Sweep { .. } | Call::Undo(_) => false,
        }
    }

    pub(super) fn unwanted(&self, call: Call) -> bool {
        let unwinding = matches!(self.state.flow, Flow::Unwinding { .. });
        match call {
            Call::Acquire(bracket) => unwinding && !self.wanted(bracket),
            Call::Do(step) => unwinding || self.restarting(step),
            Call::Release(_) | Call::Sweep { .. } | Call::Undo(_) => false,
        }
    }

    /// Whether the state of everything else lets this call begin; if not, why.
    pub(super) fn may_begin(&self, call: Call) -> Result<(), &'static str> {
        let halting = guard!(self, NothingNewWhileStuck, permits: self.state.stuck == 0);
        if !halting && !matches!(call, Call::Release(_)) {
            return Err("something else waits for an operator");
        }
        match call {
            Call::Acquire(bracket) => self.may_acquire(bracket),
            Call::Do(step) => self.may_do(step).and_then(|()| self.all_held(step)),
            Call::Release(bracket) => self.may_release(bracket),
            Call::Sweep { step, .. } => self
                .may_sweep(step)
                .and_then(|()| self.all_held_through(step)),
            Call::Undo(step) => self
                .may_undo(step)
                .and_then(|()| self.all_held_through(step)),
        }
    }

    fn may_do(&self, step: StepIx) -> Result<(), &'static str> {
        let order = self.plan.order();
        let state = &self.state.steps[step.index()];
        if self.state.flow != Flow::Forward {
            return Err("the job is unwinding");
        }
        if state.skipped {
            return Err("what it needs has failed");
        }
        let over = order.waits[step.index()]
            .iter()
            .all(|need| self.over(*need));
        if !guard!(self, NeedsFirst, permits: over) {
            return Err("something it needs is not over");
        }
        let free = order.after[step.index()]
            .iter()
            .all(|ix| self.state.brackets[ix.index()].free());
        if !guard!(self, ReleaseBeforeAfter, permits: free) {
            return Err("a bracket it comes after is not released");
        }
        if !guard!(self, SweepBeforeRepeat, permits: state.swept()) {
            return Err("what an earlier attempt left is not removed");
        }
        let pivot = order.pivot == Some(step);
        let swept = || self.state.steps.iter().all(super::state::StepState::swept);
        if pivot && !guard!(self, SweepBeforePivot, permits: swept()) {
            return Err("something is to be removed before the pivot");
        }
        if self.restarting(step)
            && !guard!(self, GroupRestartsTogether, permits: self.at_start(step))
        {
            return Err("its group is not back at its beginning");
        }
        Ok(())
    }

    fn may_undo(&self, step: StepIx) -> Result<(), &'static str> {
        let order = self.plan.order();
        if self.state.flow == Flow::Forward {
            return Err("the job is not unwinding");
        }
        if self.state.steps[step.index()].run.at != At::Done || !self.plan.step(step).undoable() {
            return Err("there is nothing to undo");
        }
        let clear = order.behind[step.index()]
            .iter()
            .all(|later| self.clear(*later));
        if !guard!(self, UndoInReverse, permits: clear) {
            return Err("a later step is not undone yet");
        }
        Ok(())
    }

    fn may_sweep(&self, step: StepIx) -> Result<(), &'static str> {
        if self.plan.step(step).remover().is_none() {
            return Err("the plan does not say how");
        }
        let forward = self.state.flow == Flow::Forward;
        let clear = self.plan.order().within[step.index()].iter().all(|later| {
            let state = &self.state.steps[later.index()];
            !state.run.at.in_flight() && state.swept() && (forward || self.clear(*later))
        });
        if !guard!(self, SweepInReverse, permits: clear) {
            return Err("a later step of its group is not cleared away yet");
        }
        Ok(())
    }

    fn may_acquire(&self, bracket: BracketIx) -> Result<(), &'static str> {
        if self.state.brackets[bracket.index()].held.is_some() {
            return Err("it is held already");
        }
        let held = self.plan.order().outer[bracket.index()]
            .iter()
            .all(|outer| self.firm(*outer));
        if !guard!(self, OuterFirst, permits: held) {
            return Err("a bracket around it is not held yet");
        }
        if !self.wanted(bracket) {
            return Err("nothing it covers is about to begin");
        }
        Ok(())
    }

    fn may_release(&self, bracket: BracketIx) -> Result<(), &'static str> {
        let state = &self.state.brackets[bracket.index()];
        if state.held.is_none() || state.acquire.at.in_flight() {
            return Err("it is not held");
        }
        let inner_free = self.plan.order().inner[bracket.index()]
            .iter()
            .all(|ix| self.state.brackets[ix.index()].free());
        if !guard!(self, InnerReleasedFirst, permits: inner_free) {
            return Err("a bracket inside it is not released yet");
        }
        if guard!(self, HeldToTheLast, demands: self.needed(bracket)) {
            return Err("something it covers is not over");
        }
        Ok(())
    }

    fn all_held(&self, step: StepIx) -> Result<(), &'static str> {
        let held = self.plan.order().around[step.index()]
            .iter()
            .all(|ix| self.firm(*ix));
        if guard!(self, BracketBeforeStep, permits: held) {
            Ok(())
        } else {
            Err("a bracket around it is not held")
        }
    }

    fn all_held_through(&self, step: StepIx) -> Result<(), &'static str> {
        let mut around = self.plan.order().around[step.index()]
            .iter()
            .filter(|ix| self.through_undo(**ix));
        let held = around.all(|ix| self.firm(*ix));
        if guard!(self, BracketAroundUndo, permits: held) {
            Ok(())
        } else {
            Err("a bracket around it is not held")
        }
    }

    /// Held, and good enough to begin something on.
    fn firm(&self, bracket: BracketIx) -> bool {
        let state = &self.state.brackets[bracket.index()];
        state.acquire.at == At::Done && !self.doomed(bracket)
    }

    /// Whether it has to be released before anything can begin in it: it is spoiled, or one around it is.
    fn doomed(&self, bracket: BracketIx) -> bool {
        let spoiled = |ix: BracketIx| self.state.brackets[ix.index()].spoiled;
        spoiled(bracket)
            || self.plan.order().outer[bracket.index()]
                .iter()
                .any(|ix| spoiled(*ix))
    }

    fn through_undo(&self, bracket: BracketIx) -> bool {
        self.plan.bracket(bracket).hold == Hold::ThroughUndo
    }

    /// Whether something only waits for this bracket (and perhaps others).
    pub(super) fn wanted(&self, bracket: BracketIx) -> bool {
        let through = self.through_undo(bracket);
        self.plan.order().covers[bracket.index()]
            .iter()
            .any(|step| {
                let state = &self.state.steps[step.index()];
                let run = state.run.at.idle() && self.may_do(*step).is_ok();
                let undo = || state.undo.at.idle() && self.may_undo(*step).is_ok();
                let sweep = || {
                    state.extras.iter().any(|extra| extra.slot.at.idle())
                        && self.may_sweep(*step).is_ok()
                };
                run || through && (undo() || sweep())
            })
    }

    /// Whether the bracket must still be held.
    fn needed(&self, bracket: BracketIx) -> bool {
        let doomed = self.doomed(bracket);
        let through = self.through_undo(bracket);
        let forward = self.state.flow == Flow::Forward;
        self.plan.order().covers[bracket.index()]
            .iter()
            .any(|step| {
                let state = &self.state.steps[step.index()];
                if through {
                    let busy = state.run.at.in_flight() || state.run.at == At::Stuck;
                    // A doomed one has to go first: only what is unsure keeps it.
                    busy || !doomed
                        && if forward {
                            !self.over(*step) || !state.swept()
                        } else {
                            !self.clear(*step)
                        }
                } else {
                    let to_come = forward && !doomed && self.state.stuck == 0 && !self.over(*step);
                    state.run.at.in_flight() || to_come
                }
            })
    }

    /// Whether a step is over as far as those that need it are concerned.
    pub(crate) fn over(&self, step: StepIx) -> bool {
        let state = &self.state.steps[step.index()];
        state.skipped || matches!(state.run.at, At::Done | At::Failed)
    }

    /// Whether nothing of a step is left, or left to take back.
    pub(super) fn clear(&self, step: StepIx) -> bool {
        let state = &self.state.steps[step.index()];
        let run = match state.run.at {
            At::Done => !self.plan.step(step).undoable() || state.undo.at == At::Done,
            At::Failed | At::Idle { .. } => true,
            At::Running | At::Stuck | At::Unsure { .. } => false,
        };
        run && state.swept()
    }

    pub(crate) fn restarting(&self, step: StepIx) -> bool {
        self.plan.order().group[step.index()].is_some_and(|group| self.state.restarting[group])
    }

    /// Whether the whole group of a step could begin anew.
    fn at_start(&self, step: StepIx) -> bool {
        let order = self.plan.order();
        let Some(group) = order.group[step.index()] else {
            return true;
        };
        order.members[group].iter().all(|member| {
            let state = &self.state.steps[member.index()];
            state.run.at.idle() && state.swept()
        })
    }

    /// Whether a step is on the way back once something fails.
    pub(super) fn can_unwind(&self) -> bool {
        let order = self.plan.order();
        let Some(pivot) = order.pivot else {
            return true;
        };
        let run = &self.state.steps[pivot.index()].run;
        // A pivot ends as failed only where it is known to have changed nothing.
        run.attempt == 0 || run.at == At::Failed
    }
}
