//! What is to be done next: for each call, one question and one answer.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Machine,
    state::{At, Flow},
};
use crate::{BracketIx, Call, StepIx};

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
}
