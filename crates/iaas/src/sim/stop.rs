use std::time::Duration;

use jiff::Timestamp;

use super::effect::is_of;
use super::job::Job;
use super::personality::Personality;
use super::submit::makes_things;
use super::thing::State;
use super::world::{Event, World};
use crate::key::OperationKey;
use crate::operation::Operation;

/// How long a declarative object is on its way out.
const DELETION: Duration = Duration::from_millis(300);

impl World {
    /// Stops what runs under the key, where the system can.
    pub(super) fn cancel(&mut self, now: Timestamp, key: &OperationKey) {
        let stoppable: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.key == *key && !job.cancelling && self.can_stop(&job.operation))
            .map(|(number, _)| *number)
            .collect();
        for number in stoppable {
            self.end_quiesce(now, number);
            self.unplan(number);
            match self.personality {
                Personality::Declarative => self.delete_object(now, number),
                Personality::Rest if self.parts_taken(number) > 1 => {
                    // What goes is the image; the snapshots that it names stay.
                    self.set_state_of(number, &State::Available);
                    self.forget(number);
                }
                _ => {
                    self.things.retain(|_, thing| !is_of(thing, number));
                    self.forget(number);
                }
            }
        }
    }

    /// What becomes of the work of a client that has died.
    pub(super) fn lose_client(&mut self, client: u64) {
        if self.personality.dies_with_client() {
            let orphans: Vec<_> = self
                .jobs
                .iter()
                .filter(|(_, job)| job.client == client)
                .map(|(number, _)| *number)
                .collect();
            for number in orphans {
                // What it froze stays so until that thaws itself: nobody is there to do it.
                self.unplan(number);
                if self.personality == Personality::InProcess {
                    let why = "its host process ended".to_owned();
                    self.set_state_of(number, &State::Error(why));
                } else {
                    self.things.retain(|_, thing| !is_of(thing, number));
                }
                self.forget(number);
            }
        }
    }

    /// Takes a job out that will not go on.
    fn forget(&mut self, number: u64) {
        if let Some(job) = self.jobs.remove(&number) {
            self.give_back(&job.operation);
            self.end(&job, None);
        }
    }

    fn delete_object(&mut self, now: Timestamp, number: u64) {
        self.set_state_of(number, &State::Deleting);
        if let Some(job) = self.jobs.get_mut(&number) {
            job.cancelling = true;
            job.due = now + DELETION;
        }
        self.plan(now + DELETION, Event::Finish { job: number });
    }

    fn parts_taken(&self, number: u64) -> usize {
        match self.jobs.get(&number).map(|job: &Job| &job.operation) {
            Some(Operation::Snapshot(take)) => take.parts.len(),
            _ => 0,
        }
    }

    fn can_stop(&self, operation: &Operation) -> bool {
        makes_things(operation)
            || self.personality.dies_with_client()
                && matches!(
                    operation,
                    Operation::DeleteSnapshot { .. } | Operation::Revert { .. }
                )
    }
}
