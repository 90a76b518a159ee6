//! A machine without what can make no difference any more, so that equal situations count as one state.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::{
    job::Job,
    world::{Made, Subject, World, steps},
};
use crate::{
    Step,
    machine::state::{At, Flow, Slot, State},
};

impl Job {
    pub(super) fn fingerprint(&self) -> u64 {
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

/// Instants become "how long from now"; what is past is past, however long. Texts and counts that only number records
/// are dropped. Everything that `ready`, `check` or `apply` could tell apart stays.
fn canonical(machine: &Subject, now: Timestamp) -> State<Made> {
    let mut state = machine.state.clone();
    state.clock = Timestamp::MIN;
    state.epoch = 0;
    state.warnings.clear();
    for step in &mut state.steps {
        slot(&mut step.run, now);
        slot(&mut step.undo, now);
        step.extras
            .iter_mut()
            .for_each(|extra| slot(&mut extra.slot, now));
    }
    for bracket in &mut state.brackets {
        slot(&mut bracket.acquire, now);
        slot(&mut bracket.release, now);
    }
    state
}

fn slot(slot: &mut Slot, now: Timestamp) {
    let from_now = |at: Timestamp| {
        if at <= now {
            Timestamp::MIN
        } else {
            Timestamp::UNIX_EPOCH + at.duration_since(now)
        }
    };
    slot.attempt = slot.attempt.min(1);
    slot.message = None;
    slot.ticket = None;
    slot.deadline = slot.deadline.map(from_now);
    slot.patience = slot.patience.map(from_now);
    slot.settled = from_now(slot.settled);
    match &mut slot.at {
        At::Idle { from: when } | At::Unsure { look: when } => *when = from_now(*when),
        At::Done | At::Failed | At::Running | At::Stuck => {}
    }
    // Each begin sets these anew.
    if !slot.at.in_flight() && slot.at != At::Stuck {
        slot.settled = Timestamp::MIN;
        slot.patience = None;
        slot.hopeless = false;
        // A member's cancel is looked at only while it is in flight.
        slot.cancelled = false;
    }
    if matches!(slot.at, At::Done | At::Failed) {
        slot.deadline = None;
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
