use jiff::Timestamp;
use stillpoint_core::{
    Capture, Consistency, Error, ErrorKind, ResourceKind, ResourceRef, Retry, World as Left,
};

use super::content::Content;
use super::job::{Ended, Fate, Job};
use super::personality::Personality;
use super::refusal::refusal;
use super::submit::makes_things;
use super::thing::{Body, Instance, Maker, Slot, State, Taken, Thing, Volume};
use super::world::World;
use crate::key::OperationKey;
use crate::operation::Operation;

impl World {
    /// The things that carry this key, in order.
    pub(super) fn made_by<'a>(
        &'a self,
        key: &'a OperationKey,
    ) -> impl Iterator<Item = (&'a ResourceRef, &'a Thing)> {
        self.things
            .iter()
            .filter(move |(_, thing)| thing.maker.as_ref().is_some_and(|by| by.key == *key))
    }

    /// Puts the new thing there that a job begins with.
    pub(super) fn make(&mut self, now: Timestamp, number: u64, job: &Job) {
        let (kind, name, labels, body) = match &job.operation {
            Operation::CreateImage { name, labels, from } => {
                let content = self.content_of(from);
                (ResourceKind::Image, name, labels, Body::Image(content))
            }
            Operation::CreateInstance {
                name,
                labels,
                disks,
            } => {
                let slots = disks.iter().map(|disk| Slot {
                    name: disk.name.clone(),
                    boot: disk.boot,
                    volume: Some(disk.volume.clone()),
                    ephemeral_size: 0,
                });
                let instance = Instance {
                    on: true,
                    disks: slots.collect(),
                    agent: true,
                    frozen: None,
                    writer: None,
                };
                (
                    ResourceKind::Instance,
                    name,
                    labels,
                    Body::Instance(instance),
                )
            }
            Operation::CreateVolume {
                name,
                labels,
                size,
                from,
            } => {
                let content = match from {
                    Some(from) => self.content_of(from).grown_to(*size),
                    None => Content::new(*size),
                };
                let volume = Volume {
                    content,
                    reverted_by: None,
                };
                (ResourceKind::Volume, name, labels, Body::Volume(volume))
            }
            _ => return,
        };
        let thing = Thing {
            name: name.clone(),
            labels: labels.clone(),
            created_at: now,
            maker: Some(Maker {
                key: job.key.clone(),
                attempt: number,
                part: 0,
                parts: 1,
            }),
            state: State::Creating,
            body,
        };
        let reference = self.new_reference(kind, &job.key, None);
        self.things.insert(reference, thing);
    }

    /// Fixes the point in time of one part of a snapshot.
    pub(super) fn capture(&mut self, now: Timestamp, number: u64, part: usize) {
        let Some(job) = self.jobs.get(&number).cloned() else {
            return;
        };
        let Operation::Snapshot(take) = &job.operation else {
            return;
        };
        if job.fate.fails_at() == Some(part) {
            self.unplan(number);
            self.finish(now, number);
            return;
        }
        let volume = &take.parts[part].volume;
        for instance in self.attached_to(volume) {
            self.write_as_guest(now, &instance);
        }
        let (consistency, capture) = self.point_in_time(volume);
        let taken = Taken {
            of: volume.clone(),
            content: self.content_of(volume),
            at: now,
            consistency,
            capture,
            copy: self.capabilities.snapshots[&take.source.kind()].copy,
            stamp: self.stamp(volume),
        };
        let thing = Thing {
            name: take.name.clone(),
            labels: take.labels.clone(),
            created_at: now,
            maker: Some(Maker {
                key: job.key.clone(),
                attempt: number,
                part,
                parts: take.parts.len(),
            }),
            state: State::Creating,
            body: Body::Snapshot(taken),
        };
        let reference = self.new_reference(ResourceKind::Snapshot, &job.key, Some(part));
        self.things.insert(reference, thing);
        if part + 1 == take.parts.len() {
            self.end_quiesce(now, number);
        }
    }

    /// Ends a job as its fate wants it.
    pub(super) fn finish(&mut self, now: Timestamp, number: u64) {
        self.end_quiesce(now, number);
        let Some(job) = self.jobs.remove(&number) else {
            return;
        };
        if job.cancelling {
            self.things.retain(|_, thing| !is_of(thing, number));
            self.end(&job, None);
            return;
        }
        match job.fate {
            Fate::Fails { .. } | Fate::HalfDone { .. } => self.fail(number, &job),
            Fate::Succeeds { .. } => self.succeed(now, number, job),
        }
    }

    /// Remembers how an operation ended that has nothing to show for it.
    pub(super) fn end(&mut self, job: &Job, error: Option<Error>) {
        let ended = Ended {
            client: job.client,
            error,
        };
        self.ended.insert(job.key.clone(), ended);
    }

    pub(super) fn content_of(&self, reference: &ResourceRef) -> Content {
        self.things
            .get(reference)
            .and_then(Thing::content)
            .cloned()
            .unwrap_or_else(|| Content::new(0))
    }

    fn succeed(&mut self, now: Timestamp, number: u64, job: Job) {
        self.set_state_of(number, &State::Available);
        match job.operation {
            Operation::Attach {
                instance,
                volume,
                disk,
            } => {
                if let Some(instance) = self.instance_mut(&instance) {
                    instance.disks.push(Slot {
                        name: disk,
                        boot: false,
                        volume: Some(volume),
                        ephemeral_size: 0,
                    });
                }
            }
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone }
            | Operation::DeleteVolume { volume: gone } => {
                self.thaw(now, &gone, false);
                self.things.remove(&gone);
            }
            Operation::Detach { instance, volume } => {
                self.write_as_guest(now, &instance);
                if let Some(instance) = self.instance_mut(&instance) {
                    instance
                        .disks
                        .retain(|slot| slot.volume.as_ref() != Some(&volume));
                }
            }
            Operation::Freeze { instance, at_most } => self.freeze(now, &instance, at_most),
            Operation::PowerOff { instance } => self.power(now, &instance, false),
            Operation::PowerOn { instance } => self.power(now, &instance, true),
            Operation::Revert { volume, to } => {
                let content = self.content_of(&to);
                if let Some(volume) = self.things.get_mut(&volume).and_then(Thing::volume_mut) {
                    volume.content.replace(&content);
                    volume.reverted_by = Some(job.key);
                }
            }
            Operation::SetLabels { resource, labels } => {
                if let Some(thing) = self.things.get_mut(&resource) {
                    thing.labels.extend(labels);
                }
            }
            Operation::Thaw { instance } => self.thaw(now, &instance, false),
            Operation::CreateImage { .. }
            | Operation::CreateInstance { .. }
            | Operation::CreateVolume { .. }
            | Operation::Snapshot(_) => {}
        }
    }

    fn fail(&mut self, number: u64, job: &Job) {
        let litters = matches!(self.personality, Personality::InProcess | Personality::Rest);
        let leaves = match job.fate {
            Fate::HalfDone { leaves, .. } => leaves,
            _ => litters && makes_things(&job.operation),
        };
        let what = format!("it failed to {}", job.operation);
        let error = refusal(self.personality, ErrorKind::Unavailable, None, what)
            .retry_with(Retry::Never)
            .leaving(if leaves {
                Left::Changed
            } else {
                Left::Untouched
            });
        match job.fate {
            _ if !leaves => self.things.retain(|_, thing| !is_of(thing, number)),
            Fate::HalfDone { .. } => self.set_state_of(number, &State::Available),
            _ => self.set_state_of(number, &State::Error(error.message().to_owned())),
        }
        self.give_back(&job.operation);
        self.end(job, Some(error));
    }

    /// Lets a thing go on that was to be deleted, and now is not.
    pub(super) fn give_back(&mut self, operation: &Operation) {
        if let Operation::DeleteImage { image: kept }
        | Operation::DeleteInstance { instance: kept }
        | Operation::DeleteSnapshot { snapshot: kept }
        | Operation::DeleteVolume { volume: kept } = operation
        {
            self.set_state(kept, State::Available);
        }
    }

    /// Sets the state of all that a job has made.
    pub(super) fn set_state_of(&mut self, number: u64, state: &State) {
        for thing in self
            .things
            .values_mut()
            .filter(|thing| is_of(thing, number))
        {
            thing.state = state.clone();
        }
    }

    pub(super) fn end_quiesce(&mut self, now: Timestamp, number: u64) {
        let quiesced = self
            .jobs
            .get_mut(&number)
            .and_then(|job| job.quiesced.take());
        if let Some(instance) = quiesced {
            self.thaw(now, &instance, false);
        }
    }

    pub(super) fn power(&mut self, now: Timestamp, on: &ResourceRef, up: bool) {
        self.thaw(now, on, false);
        self.write_as_guest(now, on);
        if let Some(instance) = self.instance_mut(on) {
            instance.on = up;
        }
    }

    fn instance_mut(&mut self, reference: &ResourceRef) -> Option<&mut Instance> {
        self.things.get_mut(reference).and_then(Thing::instance_mut)
    }

    /// What can be said of a volume's point in time now.
    fn point_in_time(&self, volume: &ResourceRef) -> (Consistency, Capture) {
        let instances = self.attached_to(volume);
        let writing = instances.iter().find(|on| self.writes(on));
        match writing {
            None if self.personality == Personality::Process && !instances.is_empty() => {
                (Consistency::Crash, Capture::Live)
            }
            None => (Consistency::Filesystem, Capture::Offline),
            Some(on)
                if self.things[on]
                    .instance()
                    .is_some_and(|on| on.frozen.is_some()) =>
            {
                (Consistency::Filesystem, Capture::Live)
            }
            Some(_) => (Consistency::Crash, Capture::Live),
        }
    }
}

/// Whether a thing was made by this very job.
pub(super) fn is_of(thing: &Thing, number: u64) -> bool {
    thing.maker.as_ref().is_some_and(|by| by.attempt == number)
}
