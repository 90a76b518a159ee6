//! What must be true in every state.

use std::sync::Arc;

use super::{
    job::Job,
    world::{harmless, steps},
};
use crate::{Call, Directive, Event, Machine, Matters, Outcome, Record};

impl Job {
    /// The rule that this state breaks, if any.
    pub(super) fn broken(&self) -> Option<&'static str> {
        if self.world.broken.is_some() {
            return self.world.broken;
        }
        if !self.stale_refused() {
            return Some("a stale driver is refused");
        }
        if self.machine.calls().any(|call| self.tried_too_often(call)) {
            return Some("attempts end");
        }
        let outcome = self.machine.outcome()?;
        let needs_intervention = matches!(outcome, Outcome::NeedsIntervention { .. });
        if !self.machine.ready(self.time()).is_empty() {
            return Some("nothing is to be done after the end");
        }
        if needs_intervention {
            return None;
        }
        if !self.world.floats.is_empty() {
            return Some("the end comes after every late effect");
        }
        if self.world.held.contains(&true) {
            return Some("every bracket is released");
        }
        let plan = self.machine.plan();
        let forward = matches!(
            outcome,
            Outcome::Completed
                | Outcome::CompletedWithWarnings { .. }
                | Outcome::PartiallyFailed { .. }
        );
        for step in steps(plan).filter(|step| !harmless(plan, *step)) {
            let adopted = self.machine.output(step).is_some();
            let expected = usize::from(forward && adopted);
            if self.world.present(step) != expected {
                return Some(if forward {
                    "completed means all effects, once"
                } else {
                    "rolled back means as before"
                });
            }
            let tolerated = plan.step(step).matters != Matters::Required;
            if forward && !adopted && (!tolerated || outcome == Outcome::Completed) {
                return Some("completed means all effects, once");
            }
        }
        let untouched = matches!(
            outcome,
            Outcome::Failed { .. }
                | Outcome::FailedValidation { .. }
                | Outcome::Cancelled { untouched: true }
        );
        if untouched && self.world.touched {
            return Some("untouched means nothing ever changed");
        }
        if forward && !self.sessions_agree() {
            return Some("a group is of one session");
        }
        None
    }

    fn tried_too_often(&self, call: Call) -> bool {
        let most = match call {
            // It has time, and pauses in between.
            Call::Release(_) => 40,
            _ => self.machine.retry(call).attempts,
        };
        self.machine
            .slot(call)
            .is_some_and(|slot| slot.tries > most)
    }

    fn sessions_agree(&self) -> bool {
        let plan = self.machine.plan();
        plan.groups().iter().all(|group| {
            let mut sessions = group.steps.iter().filter_map(|name| {
                let step = plan.find(name.as_str())?;
                let made = *self.machine.output(step)?;
                Some(self.world.objects[step.index()].get(made as usize)?.session)
            });
            let first = sessions.next();
            sessions.all(|session| Some(session) == first)
        })
    }

    /// The driver before this one still tries to write.
    fn stale_refused(&self) -> bool {
        let Some(epoch) = self.machine.epoch().checked_sub(1) else {
            return true;
        };
        let calls = self
            .machine
            .calls()
            .filter(|call| self.machine.in_flight(*call));
        let late = calls.map(|call| Event::Absent { call });
        let eager = self
            .machine
            .ready(self.time())
            .into_iter()
            .filter_map(|directive| match directive {
                Directive::Begin(call) => Some(Event::Begun {
                    call,
                    attempt: self.machine.attempt(call),
                }),
                _ => None,
            });
        late.chain(eager).all(|event| {
            self.machine
                .check(&Record {
                    at: self.time(),
                    epoch,
                    event,
                })
                .is_err()
        })
    }

    pub(super) fn replays(&self) -> bool {
        let mut replayed = Machine::new(Arc::clone(&self.machine.plan));
        replayed.off = self.machine.off;
        self.journal
            .entries()
            .into_iter()
            .all(|record| replayed.apply(record).is_ok())
            && replayed.state == self.machine.state
    }

    pub(super) fn over(&self) -> bool {
        self.machine.outcome().is_some()
    }
}
