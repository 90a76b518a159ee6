//! What can happen next.

use super::job::Job;
use crate::{Call, Directive, machine::state::At};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// The driver dies and another one takes over.
    Crash,
    /// The driver does as directed.
    Follow(Directive),
    /// A request that nobody waits for takes effect.
    Land(usize),
    /// A call that the driver waits for ends.
    Reply(Call, Reply),
    Resume,
    /// The driver observes a call.
    See(Call, Sight),
    Stop,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reply {
    Done,
    /// It took effect twice.
    DoneTwice,
    /// It failed and left nothing.
    Failed {
        again: bool,
    },
    /// It failed and nobody knows what it left; it may still take effect.
    FailedUnknown {
        again: bool,
    },
    /// It failed half done.
    Half {
        again: bool,
    },
    /// No reply; it may still take effect.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sight {
    /// The cancel was in time.
    Cancelled,
    /// It failed and left nothing.
    Failed { again: bool },
    /// What is there.
    Truth,
    /// The system can't tell.
    Unknown,
}

impl Job {
    pub(super) fn acts(&self, acts: &mut Vec<Act>) {
        if self.world.broken.is_some() {
            return;
        }
        let now = self.time();
        let faulty = self.budget.faults > 0;
        for call in self
            .machine
            .calls()
            .filter(|call| self.machine.in_flight(*call))
        {
            if self
                .machine
                .slot(call)
                .is_some_and(|slot| slot.at == At::Running)
            {
                acts.extend(replies(call, faulty).map(|reply| Act::Reply(call, reply)));
            }
        }
        for directive in self.machine.ready(now) {
            match directive {
                Directive::Observe(call) => {
                    acts.extend(self.sights(call, faulty).map(|sight| Act::See(call, sight)));
                }
                _ => acts.push(Act::Follow(directive)),
            }
        }
        acts.extend((0..self.world.floats.len()).map(Act::Land));
        if self.next_instant().is_some() {
            acts.push(Act::Tick);
        }
        if self.budget.crashes > 0 && self.machine.state.begun() {
            acts.push(Act::Crash);
        }
        if self.budget.stops > 0 && self.machine.can_stop().is_ok() {
            acts.push(Act::Stop);
        }
        if self.budget.resumes > 0
            && self.machine.state.stuck > 0
            && self.machine.outcome().is_some()
        {
            acts.push(Act::Resume);
        }
    }

    fn sights(&self, call: Call, faulty: bool) -> impl Iterator<Item = Sight> + use<> {
        let request = self.world.request(&self.machine, call);
        let floating = self
            .world
            .floats
            .iter()
            .any(|float| float.request == request);
        let landed = !self.world.look(&self.machine, &request).is_empty();
        let cancelled = self.machine.slot(call).is_some_and(|slot| slot.cancelled);
        let dying = floating && !landed;
        let failed = [true, false].map(|again| (dying && faulty, Sight::Failed { again }));
        [
            (true, Sight::Truth),
            (faulty, Sight::Unknown),
            (dying && cancelled, Sight::Cancelled),
        ]
        .into_iter()
        .chain(failed)
        .filter_map(|(possible, sight)| possible.then_some(sight))
    }
}

fn replies(call: Call, faulty: bool) -> impl Iterator<Item = Reply> {
    let makes = matches!(call, Call::Do(_));
    let half = makes || matches!(call, Call::Acquire(_));
    let either = [true, false];
    [
        (true, Reply::Done),
        (faulty && makes, Reply::DoneTwice),
        (faulty, Reply::Lost),
    ]
    .into_iter()
    .chain(either.map(|again| (faulty, Reply::Failed { again })))
    .chain(either.map(|again| (faulty, Reply::FailedUnknown { again })))
    .chain(either.map(|again| (faulty && half, Reply::Half { again })))
    .filter_map(|(possible, reply)| possible.then_some(reply))
}
