//! Whether the state of everything else lets a call begin: the guards that keep a plan safe.

use super::{
    Machine,
    state::{At, Flow, StepState},
};
use crate::{BracketIx, Call, Hold, StepIx, guard::guard};

impl<A, O> Machine<A, O> {
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
        let swept = || self.state.steps.iter().all(StepState::swept);
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
