//! What follows when an attempt came to nothing, or to something nobody wants.

use jiff::{SignedDuration, Timestamp};

use super::{
    Machine,
    apply::later,
    state::{At, Extra, Flow, Slot},
};
use crate::{BracketIx, Call, Hold, Left, Retry, StepIx, guard::guard};

impl<A, O: Clone> Machine<A, O> {
    /// An attempt is over without its effect. `again` is how long the system wants to be left alone before another
    /// one, `None` that there is to be none.
    pub(super) fn fell(
        &mut self,
        call: Call,
        at: Timestamp,
        left: Left<O>,
        again: Option<SignedDuration>,
    ) {
        let from = self.next_attempt(call, at, again);
        match call {
            Call::Acquire(bracket) => self.acquire_fell(bracket, at, left, from),
            Call::Do(step) => self.step_fell(step, at, left, from),
            Call::Release(_) | Call::Sweep { .. } | Call::Undo(_) => match from {
                Some(from) => self.set(call, At::Idle { from }),
                None => self.give_up(call, at),
            },
        }
    }

    fn next_attempt(
        &self,
        call: Call,
        at: Timestamp,
        again: Option<SignedDuration>,
    ) -> Option<Timestamp> {
        let slot = self.slot(call)?;
        let retry = self.retry(call);
        let from = later(at, again?.max(retry.wait(slot.tries.max(1))));
        // A release is tried for as long as it has time.
        let tries_left = matches!(call, Call::Release(_)) || slot.tries < retry.attempts;
        let in_time = slot.deadline.is_none_or(|deadline| from < deadline);
        (guard!(self, AttemptsBounded, permits: tries_left) && in_time).then_some(from)
    }

    fn step_fell(&mut self, step: StepIx, at: Timestamp, left: Left<O>, from: Option<Timestamp>) {
        let call = Call::Do(step);
        let pivot = self.plan.order().pivot == Some(step);
        if let Left::Something(what) = left
            && !self.plan.step(step).is_harmless()
        {
            self.state.touched = true;
            // Half a pivot is no way back, even where it could be removed to try again.
            let for_good = pivot && from.is_none();
            if self.plan.step(step).remover().is_none() || for_good {
                self.stick(call);
                return;
            }
            self.discard(step, what);
            self.state.steps[step.index()].round += 1;
        }
        let cancelled = self.state.steps[step.index()].run.cancelled;
        if matches!(self.state.flow, Flow::Unwinding { .. }) {
            self.set(call, At::Failed);
        } else if self.restarting(step) && cancelled {
            let run = &mut self.state.steps[step.index()].run;
            *run = Slot {
                tries: run.tries.saturating_sub(1),
                ..run.fresh()
            };
        } else if let Some(from) = from {
            self.set(call, At::Idle { from });
            if let Some(group) = self.plan.order().group[step.index()] {
                self.restart(group);
            }
        } else if self.plan.step(step).tolerated() {
            self.set(call, At::Failed);
            for lost in &self.plan.order().skips[step.index()] {
                self.state.steps[lost.index()].skipped = true;
            }
        } else if pivot || guard!(self, ForwardPastPivot, permits: self.can_unwind()) {
            self.set(call, At::Failed);
            self.unwind(Some(call));
        } else {
            self.give_up(call, at);
        }
    }

    fn acquire_fell(
        &mut self,
        bracket: BracketIx,
        at: Timestamp,
        left: Left<O>,
        from: Option<Timestamp>,
    ) {
        let call = Call::Acquire(bracket);
        if let Left::Something(what) = left {
            self.state.touched = true;
            let state = &mut self.state.brackets[bracket.index()];
            state.held = Some(what);
            state.spoiled = true;
        }
        let unwinding = matches!(self.state.flow, Flow::Unwinding { .. });
        if let Some(from) = from {
            self.set(call, At::Idle { from });
        } else if unwinding && !self.wanted(bracket) {
            self.set(call, At::Failed);
        } else if !unwinding && self.can_unwind() {
            self.set(call, At::Failed);
            self.unwind(Some(call));
        } else {
            self.give_up(call, at);
        }
    }

    /// From here on everything that was done is taken back.
    pub(super) fn unwind(&mut self, cause: Option<Call>) {
        self.state.flow = Flow::Unwinding { cause };
        self.state.restarting.fill(false);
        for bracket in &mut self.state.brackets {
            // What could not be had for going on may yet be had for going back.
            if bracket.acquire.at == At::Failed {
                bracket.acquire.at = At::Idle {
                    from: Timestamp::MIN,
                };
                bracket.acquire.tries = 0;
                bracket.acquire.deadline = None;
            }
        }
    }

    /// It has failed for good, and has to succeed.
    fn give_up(&mut self, call: Call, at: Timestamp) {
        // What was seen after an operator has looked is the end of what was tried before that.
        if self.slot(call).is_some_and(|slot| slot.tries == 0) {
            self.set(call, At::Idle { from: at });
        } else {
            self.stick(call);
        }
    }

    /// An operator has to look at this call.
    pub(super) fn stick(&mut self, call: Call) {
        self.set(call, At::Stuck);
        self.state.stuck += 1;
    }

    /// Something that a step made is to be removed.
    pub(super) fn discard(&mut self, step: StepIx, what: O) {
        let lasting = !self.plan.step(step).is_harmless();
        if !guard!(self, ExtrasSwept, demands: lasting) {
            return;
        }
        let removable = self.plan.step(step).remover().is_some();
        let extras = &mut self.state.steps[step.index()].extras;
        let extra = extras.len() as u32;
        extras.push(Extra {
            what,
            slot: Slot::default(),
        });
        if !removable {
            let call = Call::Sweep { step, extra };
            self.stick(call);
            if let Some(slot) = self.slot_mut(call) {
                slot.message = Some("the plan does not say how to remove it".into());
            }
        }
    }

    /// A new driver has no session: a group that is half done can't go on.
    pub(super) fn session_lost(&mut self, group: usize) {
        let members = &self.plan.order().members[group];
        let begun = members
            .iter()
            .any(|member| !self.state.steps[member.index()].run.at.idle());
        let over = members.iter().all(|member| self.over(*member));
        if begun && !over && self.state.flow == Flow::Forward {
            self.restart(group);
        }
    }

    fn restart(&mut self, group: usize) {
        #[cfg(test)]
        if self.off == Some(crate::check::Guard::GroupRestarts) {
            return;
        }
        self.state.restarting[group] = true;
        for place in 0..self.plan.order().members[group].len() {
            let member = self.plan.order().members[group][place];
            if self.state.steps[member.index()].run.at == At::Done {
                self.begin_anew(member);
            }
            for bracket in &self.plan.order().around[member.index()] {
                let state = &mut self.state.brackets[bracket.index()];
                let brief = self.plan.bracket(*bracket).hold == Hold::Briefly;
                state.spoiled |= brief && state.held.is_some();
            }
        }
    }

    /// The result of a group's member is given up.
    pub(super) fn begin_anew(&mut self, step: StepIx) {
        let state = &mut self.state.steps[step.index()];
        // What succeeded was no failure of its own; earlier failures still count.
        state.run = Slot {
            tries: state.run.tries.saturating_sub(1),
            ..state.run.fresh()
        };
        state.round += 1;
        if let Some(what) = state.output.take() {
            self.discard(step, what);
        }
    }

    fn set(&mut self, call: Call, at: At) {
        if let Some(slot) = self.slot_mut(call) {
            slot.at = at;
        }
    }

    pub(crate) fn retry(&self, call: Call) -> &Retry {
        match call {
            Call::Acquire(ix) | Call::Release(ix) => &self.plan.bracket(ix).retry,
            Call::Do(step) | Call::Sweep { step, .. } | Call::Undo(step) => {
                &self.plan.step(step).retry
            }
        }
    }

    pub(crate) fn settle(&self, call: Call) -> SignedDuration {
        match call {
            Call::Acquire(ix) | Call::Release(ix) => self.plan.bracket(ix).settle,
            Call::Do(step) | Call::Sweep { step, .. } | Call::Undo(step) => {
                self.plan.step(step).settle
            }
        }
    }

    pub(super) fn deadline(&self, call: Call) -> Option<SignedDuration> {
        match call {
            Call::Acquire(ix) => self.plan.bracket(ix).deadline,
            Call::Release(ix) => Some(self.plan.bracket(ix).release_within),
            Call::Do(step) | Call::Sweep { step, .. } | Call::Undo(step) => {
                self.plan.step(step).deadline
            }
        }
    }
}
