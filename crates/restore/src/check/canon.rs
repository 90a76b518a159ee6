//! A machine without what can make no difference any more, so that equal situations count as one state.

use jiff::Timestamp;

use super::world::{Made, Subject};
use crate::machine::state::{At, Slot, State};

/// Instants become "how long from now"; what is past is past, however long. Texts and counts that only number records
/// are dropped. Everything that `ready`, `check` or `apply` could tell apart stays.
pub(super) fn canonical(machine: &Subject, now: Timestamp) -> State<Made> {
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
