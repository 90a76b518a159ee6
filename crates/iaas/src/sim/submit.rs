use jiff::Timestamp;
use stillpoint_core::{ErrorKind, ResourceRef, Result};

use super::check::Readiness;
use super::job::{Fate, Job};
use super::refusal::{rate_limited, refusal};
use super::thing::State;
use super::world::{Event, Submit, World};
use crate::capabilities::Identity;
use crate::operation::Operation;

impl World {
    /// Takes an operation, and gives the number of its job.
    pub(super) fn submit(&mut self, now: Timestamp, submit: Submit) -> Result<u64> {
        if let Some(same) = self.same(&submit)? {
            return Ok(same);
        }
        if self.check(&submit.operation)? == Readiness::AlreadySo {
            return Ok(self.number());
        }
        if self.jobs.len() >= self.capabilities.limits.at_once as usize {
            return Err(rate_limited(self.personality, None));
        }
        if self.capabilities.identity == Identity::Enforced {
            self.asked
                .insert(submit.key.clone(), submit.operation.clone());
        }
        self.ended.remove(&submit.key);
        let number = self.number();
        self.begin(now, number, submit);
        Ok(number)
    }

    /// The job that a repeated submit is the same as, where the system can tell.
    fn same(&self, submit: &Submit) -> Result<Option<u64>> {
        let running = self
            .jobs
            .iter()
            .find(|(_, job)| job.key == submit.key && job.operation == submit.operation);
        if self.capabilities.identity != Identity::Enforced {
            let again = running.filter(|(_, job)| !makes_things(&job.operation));
            return Ok(again.map(|(number, _)| *number));
        }
        let other = self.asked.get(&submit.key);
        if let Some(other) = other.filter(|asked| **asked != submit.operation) {
            let what = format!("`{}` exists and is to {other}", submit.key);
            return Err(refusal(self.personality, ErrorKind::Conflict, None, what));
        }
        Ok(running.map(|(number, _)| *number).or_else(|| {
            self.made_by(&submit.key)
                .next()
                .and_then(|(_, thing)| thing.maker.as_ref())
                .map(|maker| maker.attempt)
        }))
    }

    fn begin(&mut self, now: Timestamp, number: u64, submit: Submit) {
        let Submit {
            client,
            key,
            operation,
            fate,
        } = submit;
        let once = self.personality.duration(operation.kind());
        let mut due = now + once + fate.extra();
        let mut quiesced = None;
        match &operation {
            Operation::Snapshot(take) => {
                let together = self
                    .capabilities
                    .snapshots
                    .get(&take.source.kind())
                    .is_some_and(|can| can.atomic_group);
                if let Some(at_most) = take.quiesce.filter(|_| self.writes(&take.source)) {
                    self.freeze(now, &take.source, at_most);
                    quiesced = Some(take.source.clone());
                }
                let mut at = now;
                for part in 0..take.parts.len() {
                    self.plan(at, Event::Capture { job: number, part });
                    if !together {
                        at += once;
                    }
                }
                due = at.max(now + once) + fate.extra();
            }
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone }
            | Operation::DeleteVolume { volume: gone } => self.set_state(gone, State::Deleting),
            _ => {}
        }
        let job = Job {
            client,
            key,
            operation,
            fate,
            began: now,
            due,
            quiesced,
            cancelling: false,
        };
        self.make(now, number, &job);
        self.jobs.insert(number, job);
        self.plan(due, Event::Finish { job: number });
        // What is due at once has happened when the call returns.
        self.advance(now);
    }

    pub(super) fn set_state(&mut self, of: &ResourceRef, state: State) {
        if let Some(thing) = self.things.get_mut(of) {
            thing.state = state;
        }
    }
}

/// Whether a second run would make second things.
pub(super) fn makes_things(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::CreateImage { .. }
            | Operation::CreateInstance { .. }
            | Operation::CreateVolume { .. }
            | Operation::Snapshot(_)
    )
}

impl Fate {
    /// At which part a snapshot fails.
    pub(super) fn fails_at(self) -> Option<usize> {
        match self {
            Self::HalfDone { at, .. } => Some(at),
            _ => None,
        }
    }
}
