use std::collections::BTreeMap;

use jiff::Timestamp;
use stillpoint_core::{
    Capture, Consistency, Error, ErrorKind, Memory, ResourceRef, Result, World as Left,
};

use super::refusal::refusal;
use super::submit::makes_things;
use super::thing::{Body, State, Taken, Thing};
use super::world::World;
use crate::capabilities::Identity;
use crate::key::{OperationKey, Ticket};
use crate::observation::Observation;
use crate::operation::Operation;
use crate::output::{Output, TakenPart, TakenSnapshot};

/// What a client asks of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) client: u64,
    pub(super) key: &'a OperationKey,
    pub(super) operation: &'a Operation,
    pub(super) ticket: Option<&'a Ticket>,
}

type Made<'a> = Vec<(&'a ResourceRef, &'a Thing)>;

impl World {
    /// What the system can tell.
    pub(super) fn observe(&self, now: Timestamp, ask: Question<'_>) -> Result<Observation> {
        if self.capabilities.identity == Identity::TicketOnly {
            return self.observe_by_reply(ask);
        }
        if let Some(running) = self.running(now, ask) {
            return Ok(running);
        }
        let seen = if makes_things(ask.operation) {
            self.observe_made(ask)
        } else {
            self.observe_change(ask)?
        };
        Ok(seen.unwrap_or_else(|| self.observe_end(ask)))
    }

    /// The number of the job, in the ticket's words.
    pub(super) fn ticket(number: u64) -> Ticket {
        Ticket::new(format!("job-{number}"))
    }

    fn running(&self, now: Timestamp, ask: Question<'_>) -> Option<Observation> {
        let mut jobs = self.jobs.values();
        let job = jobs.find(|job| job.key == *ask.key && job.operation == *ask.operation)?;
        let bytes = match &job.operation {
            Operation::CreateImage { from, .. } | Operation::Revert { to: from, .. } => {
                self.size_of(from)
            }
            Operation::Snapshot(take) => take
                .parts
                .iter()
                .map(|part| self.size_of(&part.volume))
                .sum(),
            _ => 0,
        };
        Some(Observation::Running {
            progress: Some(job.progress(now, bytes)),
            look_again_in: self.personality.look_again_in(),
        })
    }

    fn observe_made(&self, ask: Question<'_>) -> Option<Observation> {
        let mut attempts: BTreeMap<u64, Made<'_>> = BTreeMap::new();
        for (reference, thing) in self.made_by(ask.key) {
            if let Some(maker) = &thing.maker {
                attempts
                    .entry(maker.attempt)
                    .or_default()
                    .push((reference, thing));
            }
        }
        for made in attempts.values_mut() {
            made.sort_by_key(|(_, thing)| thing.maker.as_ref().map(|maker| maker.part));
        }
        let told = |number: &u64| ask.ticket == Some(&Self::ticket(*number));
        let done = attempts
            .iter()
            .filter(|(_, made)| is_complete(made))
            .max_by_key(|(number, _)| (told(number), std::cmp::Reverse(**number)))
            .map(|(number, _)| *number);
        if let Some(output) = done.and_then(|number| output(&attempts.remove(&number)?)) {
            let twins = attempts.into_values().flatten();
            return Some(Observation::Done {
                output,
                twins: twins.map(|(reference, _)| reference.clone()).collect(),
            });
        }
        let left: Made<'_> = attempts.into_values().flatten().collect();
        let why = left.iter().find_map(|(_, thing)| match &thing.state {
            State::Error(why) => Some(why.clone()),
            _ => None,
        });
        (!left.is_empty()).then(|| Observation::Failed {
            error: self.failure(ask, why),
            left: left
                .iter()
                .map(|(reference, _)| (*reference).clone())
                .collect(),
        })
    }

    /// The error of an operation that has left things behind.
    fn failure(&self, ask: Question<'_>, why: Option<String>) -> Error {
        if let Some(error) = self.remembered(ask).and_then(|ended| ended.error.clone()) {
            return error;
        }
        let why = why.unwrap_or_else(|| "only some of its parts are there".to_owned());
        refusal(self.personality, ErrorKind::Unavailable, None, why).leaving(Left::Changed)
    }

    fn observe_change(&self, ask: Question<'_>) -> Result<Option<Observation>> {
        let so = match ask.operation {
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone }
            | Operation::DeleteVolume { volume: gone } => match self.things.get(gone) {
                Some(thing) if thing.state == State::Deleting => {
                    return Ok(Some(Observation::Running {
                        progress: None,
                        look_again_in: self.personality.look_again_in(),
                    }));
                }
                other => other.is_none(),
            },
            Operation::Freeze { instance, .. } => self
                .things
                .get(instance)
                .and_then(Thing::instance)
                .is_some_and(|instance| instance.frozen.is_some()),
            Operation::Revert { volume, .. } => match self.things.get(volume).map(|it| &it.body) {
                Some(Body::Volume(volume)) => volume.reverted_by.as_ref() == Some(ask.key),
                _ => false,
            },
            other => match self.is_so(other) {
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                answer => answer?,
            },
        };
        Ok(so.then(|| done(Output::Nothing)))
    }

    /// What is known of an operation that has nothing to show.
    fn observe_end(&self, ask: Question<'_>) -> Observation {
        match self.remembered(ask) {
            None => Observation::Absent,
            Some(ended) => match &ended.error {
                None => Observation::Cancelled { left: Vec::new() },
                Some(error) => Observation::Failed {
                    error: error.clone(),
                    left: Vec::new(),
                },
            },
        }
    }

    /// How it ended, as far as this client can know.
    fn remembered(&self, ask: Question<'_>) -> Option<&super::job::Ended> {
        self.ended
            .get(ask.key)
            .filter(|ended| self.personality.remembers_ends() || ended.client == ask.client)
    }
}

pub(super) fn done(output: Output) -> Observation {
    Observation::Done {
        output,
        twins: Vec::new(),
    }
}

fn is_complete(made: &Made<'_>) -> bool {
    made.iter().all(|(_, thing)| {
        thing.is_usable()
            && thing
                .maker
                .as_ref()
                .is_some_and(|maker| maker.parts == made.len())
    })
}

/// What a complete attempt has brought about.
pub(super) fn output(made: &Made<'_>) -> Option<Output> {
    let taken: Vec<(&ResourceRef, &Taken)> = made
        .iter()
        .filter_map(|(reference, thing)| match &thing.body {
            Body::Snapshot(taken) => Some((*reference, taken)),
            _ => None,
        })
        .collect();
    let Some(taken_at) = taken.iter().map(|(_, taken)| taken.at).max() else {
        return made
            .first()
            .map(|(reference, _)| Output::Created((*reference).clone()));
    };
    let live = taken
        .iter()
        .any(|(_, taken)| taken.capture == Capture::Live);
    let part = |(reference, taken): &(&ResourceRef, &Taken)| TakenPart {
        volume: taken.of.clone(),
        snapshot: (*reference).clone(),
        size: taken.content.size(),
        copy: taken.copy,
        content_stamp: taken.stamp.clone(),
    };
    Some(Output::Snapshot(TakenSnapshot {
        parts: taken.iter().map(part).collect(),
        taken_at,
        consistency: taken
            .iter()
            .map(|(_, taken)| taken.consistency)
            .min()
            .unwrap_or(Consistency::Crash),
        capture: if live {
            Capture::Live
        } else {
            Capture::Offline
        },
        memory: Memory::No,
    }))
}
