//! One job in one world: what can happen next, what follows from it, and what must always be true.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    canon::canonical,
    world::{Float, Made, Subject, World, group_of, harmless, steps},
};
use crate::{
    Call, Directive, Event, Failure, Left, Machine, Matters, Outcome, Plan, Record, Retryable,
    Step,
    machine::state::{At, Flow},
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

/// A list that shares its tail, so that every state can have its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Option<Arc<(Record<Made>, Journal)>>);

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

    /// What follows.
    pub(super) fn after(&self, act: Act) -> Self {
        let mut job = self.clone();
        job.run(act);
        job.print = job.fingerprint();
        job
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let state = canonical(&self.machine, self.time());
        let World {
            objects,
            held,
            floats,
            sessions,
            touched,
            resumed,
            broken,
        } = &self.world;
        let floats: Vec<_> = floats
            .iter()
            .map(|float| (&float.request, float.until - self.now))
            .collect();
        if self.symmetric() {
            // Nothing tells one step from another: what happened counts, not to which of them.
            let mut steps: Vec<u64> = steps(&self.machine.plan)
                .map(|step| {
                    let floats: Vec<_> = floats
                        .iter()
                        .filter(|(request, _)| request.call.step() == Some(step))
                        .map(|(request, until)| (request.anonymous(), until))
                        .collect();
                    let place = step.index();
                    hash(&(&state.steps[place], &objects[place], floats))
                })
                .collect();
            steps.sort_unstable();
            let unwinding = state.flow != Flow::Forward;
            (
                steps,
                unwinding,
                state.touched,
                state.stuck,
                &state.restarting,
            )
                .hash(&mut hasher);
        } else {
            (&state, objects, floats).hash(&mut hasher);
        }
        (
            self.budget,
            self.found_late,
            held,
            sessions,
            touched,
            resumed,
            broken,
        )
            .hash(&mut hasher);
        hasher.finish()
    }

    fn symmetric(&self) -> bool {
        let plan = &self.machine.plan;
        let plain = |step: &Step<u8>| step.needs.is_empty() && step.title == plan.steps()[0].title;
        plan.brackets().is_empty()
            && plan
                .groups()
                .iter()
                .all(|group| group.steps.len() == plan.steps().len())
            && plan.steps().iter().all(plain)
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

    fn next_instant(&self) -> Option<i64> {
        let wakeup = self.machine.wakeup(self.time()).map(Timestamp::as_second);
        let expiry = self.world.floats.iter().map(|float| float.until).min();
        wakeup.into_iter().chain(expiry).min()
    }

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

    /// The plan and the journal as `examples/replay.rs` reads them: JSON, one value a line.
    pub(super) fn transcript(&self) -> String {
        let mut lines = serde_json::to_string(self.machine.plan()).unwrap_or_default();
        for record in self.journal.records() {
            let _ = write!(
                lines,
                "\n{}",
                serde_json::to_string(&record).unwrap_or_default()
            );
        }
        lines
    }
}

impl Hash for Job {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.print);
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.machine.state == other.machine.state
            && self.world == other.world
            && self.now == other.now
    }
}

impl Journal {
    fn push(&mut self, record: Record<Made>) {
        *self = Self(Some(Arc::new((record, std::mem::take(self)))));
    }

    pub(super) fn records(&self) -> Vec<Record<Made>> {
        self.entries().into_iter().cloned().collect()
    }

    fn entries(&self) -> Vec<&Record<Made>> {
        let mut records = Vec::new();
        let mut rest = self;
        while let Some(entry) = &rest.0 {
            records.push(&entry.0);
            rest = &entry.1;
        }
        records.reverse();
        records
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

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
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
