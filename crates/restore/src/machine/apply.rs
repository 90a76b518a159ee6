//! What a record changes. Everything here may rely on `check`.

use jiff::{SignedDuration, Timestamp};

use super::{
    Machine,
    state::{At, Flow, Slot},
};
use crate::{BracketIx, Call, Event, Failure, Hold, Left, Record, Retryable, StepIx, guard::guard};

impl<A, O: Clone> Machine<A, O> {
    pub(super) fn transit(&mut self, record: &Record<O>) {
        self.state.clock = self.state.clock.max(record.at);
        let at = self.state.clock;
        match &record.event {
            Event::Abandoned { call } => self.abandoned(*call, at),
            Event::Absent { call } => self.absent(*call, at),
            Event::Accepted { call, ticket } => {
                self.slot_at(*call).ticket = Some(ticket.as_str().into());
            }
            Event::Begun { call, .. } => self.begun(*call, at),
            Event::Cancelling { call } => self.cancelling(*call, at),
            Event::Done {
                call,
                output,
                twins,
            } => self.done(*call, output, twins),
            Event::Failed { call, failure } => self.failed(*call, at, failure),
            Event::Lost { call } => self.unsure(*call, at, Some("no reply")),
            Event::Recovered => self.recovered(record.epoch, at),
            Event::Resumed => self.resumed(at),
            Event::StopRequested => self.unwind(None),
            Event::Unknown {
                call,
                evidence,
                settles_at,
            } => {
                self.unknown(*call, at, evidence, *settles_at);
            }
            Event::Warned { message } => self.state.warnings.push(message.as_str().into()),
        }
    }

    fn begun(&mut self, call: Call, at: Timestamp) {
        let settled = later(at, self.settle(call));
        let deadline = self.deadline(call).map(|limit| later(at, limit));
        let slot = self.slot_at(call);
        slot.at = At::Running;
        slot.attempt = slot.attempt.saturating_add(1);
        slot.tries = slot.tries.saturating_add(1);
        slot.settled = settled;
        slot.deadline = slot.deadline.or(deadline);
        slot.cancelled = false;
        slot.hopeless = false;
        slot.patience = None;
        slot.ticket = None;
        match call {
            Call::Acquire(bracket) => self.state.brackets[bracket.index()].spoiled = false,
            Call::Do(step) => {
                if let Some(group) = self.plan.order().group[step.index()] {
                    self.state.restarting[group] = false;
                }
            }
            // From its first attempt on the release has to come to its end: nothing begins on half a bracket.
            Call::Release(bracket) => self.state.brackets[bracket.index()].spoiled = true,
            Call::Sweep { .. } | Call::Undo(_) => {}
        }
    }

    /// The call may have been sent up to now, so its time to settle starts here.
    fn unsure(&mut self, call: Call, at: Timestamp, message: Option<&str>) {
        let settled = later(at, self.settle(call));
        let slot = self.slot_at(call);
        if slot.at == At::Running {
            slot.settled = settled;
        }
        slot.at = At::Unsure { look: at };
        if let Some(message) = message {
            slot.message = Some(message.into());
        }
    }

    fn cancelling(&mut self, call: Call, at: Timestamp) {
        let in_vain = self.unwanted(call);
        self.unsure(call, at, None);
        let deadline = self.deadline(call).map(|limit| later(at, limit));
        let slot = self.slot_at(call);
        slot.cancelled = true;
        // Cancelled for its own slowness, and so not tried again.
        slot.hopeless |= !in_vain;
        slot.deadline = deadline;
    }

    fn abandoned(&mut self, call: Call, at: Timestamp) {
        if !self.slot_at(call).at.in_flight() {
            self.fell(call, at, Left::Nothing, None);
            return;
        }
        self.unsure(call, at, None);
        let slot = self.slot_at(call);
        let last = slot.message.take();
        let message = last.as_deref().unwrap_or("no answer");
        slot.message = Some(format!("its time is over: {message}").into());
        self.stick(call);
    }

    fn absent(&mut self, call: Call, at: Timestamp) {
        if self.slot_at(call).at == At::Running {
            // Looked for by the driver that made the call: it has only now stopped sending.
            self.unsure(call, at, None);
        }
        let settled = self.slot_at(call).settled;
        if guard!(self, SettleBeforeAbsent, permits: at >= settled) {
            let slot = self.slot_at(call);
            slot.message
                .get_or_insert_with(|| "it left no trace".into());
            let again = (!slot.hopeless).then_some(SignedDuration::ZERO);
            self.fell(call, at, Left::Nothing, again);
        } else {
            self.slot_at(call).at = At::Unsure { look: settled };
        }
    }

    fn unknown(&mut self, call: Call, at: Timestamp, evidence: &str, settles_at: Timestamp) {
        let was_running = self.slot_at(call).at == At::Running;
        self.unsure(call, at, Some(evidence));
        let slot = self.slot_at(call);
        let patience = *slot.patience.get_or_insert(settles_at.max(slot.settled));
        if at < patience || was_running {
            let look = settles_at.min(patience).max(at);
            slot.at = At::Unsure { look };
        } else {
            #[cfg(test)]
            if self.off == Some(crate::check::Guard::NeverGuess) {
                return self.fell(call, at, Left::Nothing, Some(SignedDuration::ZERO));
            }
            self.stick(call);
        }
    }

    fn failed(&mut self, call: Call, at: Timestamp, failure: &Failure<O>) {
        let slot = self.slot_at(call);
        slot.hopeless |= failure.retry == Retryable::Never;
        slot.message = Some(failure.message.as_str().into());
        let hopeless = slot.hopeless;
        let settled = slot.settled;
        if matches!(failure.left, Left::Unknown) {
            self.unknown(call, at, &failure.message, settled);
            return;
        }
        let again = match failure.retry {
            Retryable::After(wait) if !hopeless => Some(wait),
            Retryable::After(_) | Retryable::Never => None,
        };
        self.fell(call, at, failure.left.clone(), again);
    }

    fn done(&mut self, call: Call, output: &O, twins: &[O]) {
        match call {
            Call::Acquire(bracket) => {
                self.state.touched = true;
                let state = &mut self.state.brackets[bracket.index()];
                state.held = Some(output.clone());
                state.acquire.at = At::Done;
                state.acquire.tries = 0;
            }
            Call::Do(step) => self.step_done(step, output, twins),
            Call::Release(bracket) => {
                let state = &mut self.state.brackets[bracket.index()];
                state.held = None;
                state.spoiled = false;
                state.round += 1;
                state.release = state.release.fresh();
                if state.acquire.at == At::Done {
                    state.acquire = state.acquire.fresh();
                }
            }
            Call::Sweep { .. } | Call::Undo(_) => self.slot_at(call).at = At::Done,
        }
    }

    fn step_done(&mut self, step: StepIx, output: &O, twins: &[O]) {
        self.state.touched |= !self.plan.step(step).is_harmless();
        let state = &mut self.state.steps[step.index()];
        state.output = Some(output.clone());
        state.run.at = At::Done;
        for twin in twins {
            self.discard(step, twin.clone());
        }
        if self.restarting(step) && self.state.flow == Flow::Forward {
            self.begin_anew(step);
        }
    }

    fn recovered(&mut self, epoch: u64, at: Timestamp) {
        self.state.epoch = epoch;
        self.time_anew(at);
        let calls: Vec<_> = self.calls().filter(|call| self.in_flight(*call)).collect();
        for call in calls {
            #[cfg(test)]
            if self.off == Some(crate::check::Guard::ObserveAfterTakeover) {
                self.slot_at(call).at = At::Idle { from: at };
                continue;
            }
            if self.slot_at(call).at == At::Running {
                self.unsure(call, at, Some("the driver that made the call is gone"));
            }
            self.slot_at(call).cancelled = false;
        }
        for bracket in (0..).map(BracketIx).take(self.state.brackets.len()) {
            let state = &mut self.state.brackets[bracket.index()];
            let taken = state.held.is_some() || state.acquire.at.in_flight();
            state.spoiled |= taken && self.plan.bracket(bracket).hold == Hold::Briefly;
        }
        for group in 0..self.state.restarting.len() {
            self.session_lost(group);
        }
    }

    /// Nobody could look while there was no driver: what was begun has its whole time again, or a
    /// call that went well would be given up unseen after a long night.
    fn time_anew(&mut self, at: Timestamp) {
        let begun =
            |slot: &Slot| slot.deadline.is_some() && !slot.cancelled && slot.at != At::Stuck;
        let calls: Vec<_> = self.calls().collect();
        for call in calls {
            if self.slot(call).is_some_and(begun) {
                let deadline = self.deadline(call).map(|limit| later(at, limit));
                let slot = self.slot_at(call);
                slot.deadline = slot.deadline.max(deadline);
                slot.patience = None;
            }
        }
    }

    fn resumed(&mut self, at: Timestamp) {
        let calls: Vec<_> = self.calls().collect();
        for call in calls {
            if self.slot_at(call).at != At::Stuck {
                continue;
            }
            let deadline = self.deadline(call).map(|limit| later(at, limit));
            // What the plan can't remove, the operator has.
            let by_hand = self.plan.action(call).is_none();
            let slot = self.slot_at(call);
            slot.at = if by_hand {
                At::Done
            } else {
                At::Unsure { look: at }
            };
            slot.tries = 0;
            slot.deadline = deadline;
            slot.cancelled = false;
            slot.hopeless = false;
            slot.patience = None;
        }
        self.state.stuck = 0;
    }

    fn slot_at(&mut self, call: Call) -> &mut Slot {
        self.slot_mut(call)
            .expect("`check` let only calls of this plan in")
    }
}

pub(super) fn later(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}
