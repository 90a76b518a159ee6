//! One job in one world: what there is, and what follows from each thing that happens.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    acts::{Act, Reply, Sight},
    journal::Journal,
    world::{Float, Made, Subject, World, group_of, steps},
};
use crate::{
    Call, Directive, Event, Failure, Left, Machine, Plan, Record, Retryable, machine::state::At,
};

/// How much may go wrong in one run.
#[derive(Clone, Copy, Debug, Hash, PartialEq)]
pub(super) struct Budget {
    /// Replies and observations other than the plain truth.
    pub(super) faults: u8,
    pub(super) crashes: u8,
    pub(super) stops: u8,
    pub(super) resumes: u8,
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) machine: Subject,
    pub(super) world: World,
    pub(super) budget: Budget,
    /// Seconds.
    pub(super) now: i64,
    pub(super) journal: Journal,
    /// A late effect was found by a driver that had seen nothing before.
    pub(super) found_late: bool,
    /// The fingerprint of all that matters for what comes: not the time, only how far away things are; and not the
    /// journal.
    pub(super) print: u64,
}

impl Job {
    pub(super) fn new(plan: &Arc<Plan<u8>>, budget: Budget) -> Self {
        let mut job = Self {
            machine: Machine::new(Arc::clone(plan)),
            world: World::new(plan),
            budget,
            now: 0,
            journal: Journal::default(),
            found_late: false,
            print: 0,
        };
        job.print = job.fingerprint();
        job
    }

    /// What follows.
    pub(super) fn after(&self, act: Act) -> Self {
        let mut job = self.clone();
        job.run(act);
        job.print = job.fingerprint();
        job
    }

    pub(super) fn run(&mut self, act: Act) {
        match act {
            Act::Crash => {
                self.budget.crashes -= 1;
                let calls: Vec<_> = self.machine.calls().collect();
                for call in calls {
                    self.let_go(call);
                }
                self.world
                    .sessions
                    .iter_mut()
                    .for_each(|session| *session += 1);
                let epoch = self.machine.epoch() + 1;
                self.record(Record {
                    at: self.time(),
                    epoch,
                    event: Event::Recovered,
                });
            }
            Act::Follow(Directive::Abandon(call)) => {
                self.let_go(call);
                self.happened(Event::Abandoned { call });
            }
            Act::Follow(Directive::Begin(call)) => {
                if self.machine.state.stuck > 0 && !matches!(call, Call::Release(_)) {
                    self.world
                        .fail("nothing new while an operator is waited for");
                }
                let attempt = self.machine.attempt(call);
                self.happened(Event::Begun { call, attempt });
            }
            Act::Follow(Directive::Cancel(call)) => {
                self.let_go(call);
                self.happened(Event::Cancelling { call });
            }
            Act::Follow(Directive::Observe(_)) => {}
            Act::Land(number) => {
                let float = self.world.floats.remove(number);
                self.world.land(&self.machine, &float.request);
            }
            Act::Reply(call, reply) => self.reply(call, reply),
            Act::Resume => {
                self.budget.resumes -= 1;
                self.by_hand();
                self.world.resumed = true;
                self.happened(Event::Resumed);
            }
            Act::See(call, sight) => self.see(call, sight),
            Act::Stop => {
                self.budget.stops -= 1;
                self.happened(Event::StopRequested);
            }
            Act::Tick => {
                if let Some(next) = self.next_instant() {
                    self.now = next;
                    self.world.floats.retain(|float| float.until > next);
                }
            }
        }
    }

    fn reply(&mut self, call: Call, reply: Reply) {
        let request = self.world.request(&self.machine, call);
        let mut left = Left::Nothing;
        if reply != Reply::Done {
            self.budget.faults -= 1;
        }
        let retry = match reply {
            Reply::Done => {
                let output = self.world.land(&self.machine, &request);
                return self.happened(Event::Done {
                    call,
                    output,
                    twins: Vec::new(),
                });
            }
            Reply::DoneTwice => {
                let output = self.world.land(&self.machine, &request);
                let twins = vec![self.world.land(&self.machine, &request)];
                return self.happened(Event::Done {
                    call,
                    output,
                    twins,
                });
            }
            Reply::Lost => {
                self.let_go(call);
                return self.happened(Event::Lost { call });
            }
            Reply::Failed { again } => again,
            Reply::FailedUnknown { again } => {
                left = Left::Unknown;
                self.let_go(call);
                again
            }
            Reply::Half { again } => {
                left = Left::Something(self.world.land(&self.machine, &request));
                again
            }
        };
        self.happened(failure(call, left, retry));
        self.session_over(call);
    }

    fn see(&mut self, call: Call, sight: Sight) {
        let request = self.world.request(&self.machine, call);
        match sight {
            Sight::Truth => {
                let mut found = self.world.look(&self.machine, &request).into_iter();
                if let Some(output) = found.next() {
                    let slot = self.machine.slot(call);
                    self.found_late |= slot.is_some_and(
                        |slot| matches!(slot.at, At::Unsure { look } if look == slot.settled),
                    ) && self.machine.epoch() > 0;
                    return self.happened(Event::Done {
                        call,
                        output,
                        twins: found.collect(),
                    });
                }
                self.happened(Event::Absent { call });
                self.session_over(call);
            }
            Sight::Cancelled | Sight::Failed { .. } => {
                self.world.floats.retain(|float| float.request != request);
                if sight != Sight::Cancelled {
                    self.budget.faults -= 1;
                }
                self.happened(failure(
                    call,
                    Left::Nothing,
                    sight == Sight::Failed { again: true },
                ));
                self.session_over(call);
            }
            Sight::Unknown => {
                self.budget.faults -= 1;
                let settles_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.now + 1);
                self.happened(Event::Unknown {
                    call,
                    evidence: "can't tell".to_owned(),
                    settles_at,
                });
            }
        }
    }

    /// Nobody waits for the call's request any longer; it may take effect until its time to settle is over.
    fn let_go(&mut self, call: Call) {
        if self
            .machine
            .slot(call)
            .is_some_and(|slot| slot.at == At::Running)
        {
            let until = self.now + self.machine.settle(call).as_secs();
            if until > self.now {
                let request = self.world.request(&self.machine, call);
                self.world.floats.push(Float { request, until });
            }
        }
    }

    /// A member that is known to have failed takes the session of its group with it.
    fn session_over(&mut self, call: Call) {
        if let Call::Do(step) = call
            && !self.machine.in_flight(call)
            && let Some(group) = group_of(self.machine.plan(), step)
        {
            self.world.sessions[group] += 1;
        }
    }

    /// The operator removes what the plan has no way to remove.
    fn by_hand(&mut self) {
        for step in steps(&self.machine.plan) {
            if self.machine.plan.step(step).remover().is_none() {
                for extra in &self.machine.state.steps[step.index()].extras {
                    self.world.objects[step.index()][extra.what as usize].there = false;
                }
            }
        }
    }

    fn happened(&mut self, event: Event<Made>) {
        if let Event::Done {
            call: Call::Do(step),
            output,
            ..
        } = &event
            && let Some(object) = self.world.objects[step.index()].get_mut(*output as usize)
        {
            object.adopted = true;
        }
        self.record(Record {
            at: self.time(),
            epoch: self.machine.epoch(),
            event,
        });
    }

    fn record(&mut self, record: Record<Made>) {
        let accepted = self.machine.apply(&record);
        self.journal.push(record);
        if accepted.is_err() {
            self.world.fail("the machine takes what it asked for");
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.now)
    }

    pub(super) fn next_instant(&self) -> Option<i64> {
        let wakeup = self.machine.wakeup(self.time()).map(Timestamp::as_second);
        let expiry = self.world.floats.iter().map(|float| float.until).min();
        wakeup.into_iter().chain(expiry).min()
    }
}

fn failure(call: Call, left: Left<Made>, again: bool) -> Event<Made> {
    let retry = if again {
        Retryable::After(SignedDuration::ZERO)
    } else {
        Retryable::Never
    };
    Event::Failed {
        call,
        failure: Failure {
            left,
            message: "failed".to_owned(),
            retry,
        },
    }
}
