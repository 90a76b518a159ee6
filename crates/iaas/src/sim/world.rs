use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};

use super::freezes::{FreezeInterval, Freezes};
use super::job::{Ended, Fate, Job};
use super::personality::Personality;
use super::refusal::refusal;
use super::thing::{State, Thing};
use crate::capabilities::{Capabilities, Identity};
use crate::key::OperationKey;
use crate::operation::Operation;
use crate::outlook::Reverts;

/// All that exists in a simulated cloud, and all that will happen to it.
///
/// It has no clock: whoever looks at it first [advances](Self::advance) it to now.
#[derive(Debug)]
pub(super) struct World {
    pub(super) name: String,
    pub(super) personality: Personality,
    pub(super) capabilities: Capabilities,
    pub(super) snapshot_quota: Option<usize>,
    pub(super) reverts: Reverts,
    pub(super) launch_blocked_by: Vec<String>,
    pub(super) things: BTreeMap<ResourceRef, Thing>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) ended: BTreeMap<OperationKey, Ended>,
    pub(super) freezes: Freezes,
    /// What was asked under a key, where the system holds an object of that name.
    pub(super) asked: BTreeMap<OperationKey, Operation>,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    last_number: u64,
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A part of a snapshot is taken.
    Capture { job: u64, part: usize },
    /// A job is over.
    Finish { job: u64 },
    /// A submit reaches the system late.
    Submit { submit: Submit },
    /// A freeze's time is over.
    ThawItself { instance: ResourceRef, freeze: u64 },
}

/// A submit as the system sees it.
#[derive(Clone, Debug)]
pub(super) struct Submit {
    pub(super) client: u64,
    pub(super) key: OperationKey,
    pub(super) operation: Operation,
    pub(super) fate: Fate,
}

impl World {
    pub(super) fn new(name: String, personality: Personality, capabilities: Capabilities) -> Self {
        Self {
            name,
            personality,
            capabilities,
            snapshot_quota: None,
            reverts: Reverts::ToAny,
            launch_blocked_by: Vec::new(),
            things: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ended: BTreeMap::new(),
            freezes: Freezes::default(),
            asked: BTreeMap::new(),
            agenda: BTreeMap::new(),
            last_number: 0,
        }
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(next) = self.agenda.first_entry() {
            let at = next.key().0;
            if at > now {
                return;
            }
            match next.remove() {
                Event::Capture { job, part } => self.capture(at, job, part),
                Event::Finish { job } => self.finish(at, job),
                Event::Submit { submit } => {
                    // Nobody waits for an answer any more.
                    let _ = self.submit(at, submit);
                }
                Event::ThawItself { instance, freeze } => {
                    self.thaw_itself(at, &instance, freeze);
                }
            }
        }
    }

    /// When the next thing happens by itself.
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn plan(&mut self, at: Timestamp, event: Event) {
        let number = self.number();
        self.agenda.insert((at, number), event);
    }

    /// Drops what was planned for a job.
    pub(super) fn unplan(&mut self, gone: u64) {
        self.agenda.retain(|_, event| match event {
            Event::Capture { job, .. } | Event::Finish { job } => *job != gone,
            Event::Submit { .. } | Event::ThawItself { .. } => true,
        });
    }

    /// A number that was never used before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn reference(&self, kind: ResourceKind, id: &str) -> Result<ResourceRef> {
        ResourceRef::new(self.name.clone(), kind, id)
    }

    /// The name of a new thing: the key where that is its name, else a number.
    pub(super) fn new_reference(
        &mut self,
        kind: ResourceKind,
        key: &OperationKey,
        part: Option<usize>,
    ) -> ResourceRef {
        let id = match (self.capabilities.identity, part) {
            (Identity::Enforced, Some(part)) => format!("{key}.{part}"),
            (Identity::Enforced, None) => key.to_string(),
            _ => format!("{kind}-{}", self.number()),
        };
        self.reference(kind, &id)
            .expect("keys and numbers are valid ids")
    }

    /// The thing, as far as it exists.
    pub(super) fn thing(&self, reference: &ResourceRef) -> Result<&Thing> {
        if reference.provider() != self.name {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("it is not a resource of `{}`", self.name),
            )
            .on(reference.clone())
            .advise("Ask the provider that is named first"));
        }
        self.things
            .get(reference)
            .ok_or_else(|| self.refuse(ErrorKind::NotFound, reference, "there is no such resource"))
    }

    /// The thing, where it is of any use.
    pub(super) fn usable(&self, reference: &ResourceRef) -> Result<&Thing> {
        let thing = self.thing(reference)?;
        match &thing.state {
            State::Available => Ok(thing),
            State::Creating => {
                Err(self.refuse(ErrorKind::Busy, reference, "it is still being made"))
            }
            State::Deleting => {
                Err(self.refuse(ErrorKind::NotFound, reference, "it is being deleted"))
            }
            State::Error(why) => Err(self.refuse(
                ErrorKind::Precondition,
                reference,
                format!("it is in status error ({why})"),
            )),
        }
    }

    /// Whether a client can see it: files become visible by their last rename.
    pub(super) fn is_visible(&self, thing: &Thing) -> bool {
        self.personality != Personality::Files || thing.state != State::Creating
    }

    /// The instances that have a volume as a disk.
    pub(super) fn attached_to(&self, volume: &ResourceRef) -> Vec<ResourceRef> {
        self.things
            .iter()
            .filter(|(_, thing)| {
                thing.instance().is_some_and(|instance| {
                    instance
                        .disks
                        .iter()
                        .any(|slot| slot.volume.as_ref() == Some(volume))
                })
            })
            .map(|(reference, _)| reference.clone())
            .collect()
    }

    pub(super) fn size_of(&self, reference: &ResourceRef) -> u64 {
        self.things
            .get(reference)
            .and_then(Thing::content)
            .map_or(0, super::content::Content::size)
    }

    /// Changes with every write, where the system can tell.
    pub(super) fn stamp(&self, volume: &ResourceRef) -> Option<String> {
        let content = self.things.get(volume).and_then(Thing::content)?;
        (self.personality == Personality::Files).then(|| format!("write {}", content.writes()))
    }

    pub(super) fn refuse(&self, kind: ErrorKind, on: &ResourceRef, what: impl AsRef<str>) -> Error {
        refusal(self.personality, kind, Some(on), what)
    }

    /// Freezes an instance, or gives one that is frozen more time.
    pub(super) fn freeze(&mut self, now: Timestamp, on: &ResourceRef, at_most: Duration) {
        self.write_as_guest(now, on);
        let freeze = self.number();
        self.freezes.begin(now, on);
        if let Some(instance) = self.things.get_mut(on).and_then(Thing::instance_mut) {
            instance.frozen = Some(freeze);
        }
        let until = now.checked_add(at_most).unwrap_or(Timestamp::MAX);
        let instance = on.clone();
        self.plan(until, Event::ThawItself { instance, freeze });
    }

    /// Lets an instance write again.
    pub(super) fn thaw(&mut self, now: Timestamp, on: &ResourceRef, by_itself: bool) {
        self.write_as_guest(now, on);
        let frozen = self.things.get_mut(on).and_then(Thing::instance_mut);
        if frozen.is_some_and(|instance| instance.frozen.take().is_some()) {
            self.freezes.end(now, on, by_itself);
        }
    }

    fn thaw_itself(&mut self, now: Timestamp, on: &ResourceRef, freeze: u64) {
        let holds = self.things.get(on).and_then(Thing::instance);
        if holds.is_some_and(|instance| instance.frozen == Some(freeze)) {
            self.thaw(now, on, true);
        }
    }

    /// Carries out what a guest has written since it was last looked at.
    pub(super) fn write_as_guest(&mut self, now: Timestamp, on: &ResourceRef) {
        let Some(instance) = self.things.get_mut(on).and_then(Thing::instance_mut) else {
            return;
        };
        let running = instance.on && instance.frozen.is_none();
        let Some(writer) = &mut instance.writer else {
            return;
        };
        if !running {
            writer.until = now;
            return;
        }
        let passed = now.duration_since(writer.until).unsigned_abs();
        let count = passed.as_nanos() / writer.every.as_nanos().max(1);
        if count == 0 {
            return;
        }
        writer.counted += u64::try_from(count).unwrap_or(u64::MAX);
        let moved = writer.every * u32::try_from(count).unwrap_or(u32::MAX);
        writer.until = writer.until.checked_add(moved).unwrap_or(now);
        let counter = writer.counted.to_le_bytes();
        let volumes: Vec<_> = instance
            .disks
            .iter()
            .filter_map(|slot| slot.volume.clone())
            .collect();
        for volume in volumes {
            if let Some(volume) = self.things.get_mut(&volume).and_then(Thing::volume_mut) {
                let end = volume.content.size();
                volume.content.write(end.saturating_sub(8), &counter);
            }
        }
    }

    /// Carries out what all guests have written.
    pub(super) fn write_as_guests(&mut self, now: Timestamp) {
        let instances: Vec<_> = self
            .things
            .iter()
            .filter(|(_, thing)| thing.instance().is_some_and(|one| one.writer.is_some()))
            .map(|(reference, _)| reference.clone())
            .collect();
        for instance in instances {
            self.write_as_guest(now, &instance);
        }
    }

    pub(super) fn freeze_log(&self) -> &[FreezeInterval] {
        self.freezes.log()
    }
}
