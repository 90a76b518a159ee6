use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Capture, Consistency, CopyKind, Digest, Labels, ResourceKind, ResourceRef};

use super::cloud::SimCloud;
use super::content::Content;
use super::thing::{Body, Instance, Slot, State, Taken, Thing, Volume, Writer};
use super::world::World;

/// An instance to be put into a [`SimCloud`], which runs and has a guest agent unless said
/// otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct NewInstance {
    name: String,
    labels: Labels,
    /// Name, size, and whether it is ephemeral.
    disks: Vec<(String, u64, bool)>,
    on: bool,
    agent: bool,
    writes_every: Option<Duration>,
}

impl NewInstance {
    /// An instance without disks. The name is its id as well.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            labels: Labels::new(),
            disks: Vec::new(),
            on: true,
            agent: true,
            writes_every: None,
        }
    }

    /// A disk of `size` bytes with a volume of its own; the first one is booted from.
    pub fn disk(mut self, name: impl Into<String>, size: u64) -> Self {
        self.disks.push((name.into(), size, false));
        self
    }

    /// A disk of `size` bytes that lives and dies with the instance.
    pub fn ephemeral(mut self, name: impl Into<String>, size: u64) -> Self {
        self.disks.push((name.into(), size, true));
        self
    }

    /// A label of the instance.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Powered off.
    pub fn off(mut self) -> Self {
        self.on = false;
        self
    }

    /// Without a guest agent, so that nothing can freeze it.
    pub fn without_agent(mut self) -> Self {
        self.agent = false;
        self
    }

    /// With a guest that, while it runs and is not frozen, writes the number of its write to the
    /// last 8 bytes of all volumes at one instant: equal numbers show a snapshot to be of one
    /// instant.
    pub fn writing(mut self, every: Duration) -> Self {
        self.writes_every = Some(every);
        self
    }
}

/// What was there before, or is somebody else's doing.
impl SimCloud {
    /// Puts an instance and its volumes there. A volume's id is `instance-disk`.
    ///
    /// # Panics
    ///
    /// Where a name cannot be an id.
    pub fn add_instance(&self, new: NewInstance) -> ResourceRef {
        self.with(|world, now| {
            let reference = world.foreign(ResourceKind::Instance, &new.name);
            let mut disks = Vec::new();
            for (number, (name, size, ephemeral)) in new.disks.into_iter().enumerate() {
                let volume = (!ephemeral).then(|| {
                    let id = format!("{}-{name}", new.name);
                    world.put_volume(now, &id, size)
                });
                disks.push(Slot {
                    name,
                    boot: number == 0,
                    volume,
                    ephemeral_size: size,
                });
            }
            let instance = Instance {
                on: new.on,
                disks,
                agent: new.agent,
                frozen: None,
                writer: new.writes_every.map(|every| Writer {
                    every,
                    counted: 0,
                    until: now,
                }),
            };
            world.put(now, &reference, new.name, Body::Instance(instance));
            if let Some(thing) = world.things.get_mut(&reference) {
                thing.labels = new.labels;
            }
            reference
        })
    }

    /// Puts an empty volume of `size` bytes there, attached to nothing.
    ///
    /// # Panics
    ///
    /// Where the name cannot be an id.
    pub fn add_volume(&self, name: &str, size: u64) -> ResourceRef {
        self.with(|world, now| world.put_volume(now, name, size))
    }

    /// Puts somebody else's snapshot of a volume there.
    ///
    /// # Panics
    ///
    /// Where the name cannot be an id.
    pub fn add_snapshot(&self, name: &str, of: &ResourceRef) -> ResourceRef {
        self.with(|world, now| {
            let reference = world.foreign(ResourceKind::Snapshot, name);
            let taken = Taken {
                of: of.clone(),
                content: world.content_of(of),
                at: now,
                consistency: Consistency::Crash,
                capture: Capture::Live,
                copy: CopyKind::Full,
                stamp: None,
            };
            world.put(now, &reference, name.to_owned(), Body::Snapshot(taken));
            reference
        })
    }

    /// Takes a thing away, as somebody else would who asks nobody.
    pub fn remove(&self, reference: &ResourceRef) {
        self.with(|world, _| world.things.remove(reference));
    }

    /// Powers an instance off, as its owner would.
    pub fn power_off(&self, instance: &ResourceRef) {
        self.with(|world, now| world.power(now, instance, false));
    }

    /// The volume behind an instance's disk.
    pub fn disk(&self, instance: &ResourceRef, name: &str) -> Option<ResourceRef> {
        self.with(|world, _| {
            let disks = &world.things.get(instance)?.instance()?.disks;
            disks.iter().find(|slot| slot.name == name)?.volume.clone()
        })
    }

    /// Whether an instance is frozen now.
    pub fn is_frozen(&self, instance: &ResourceRef) -> bool {
        self.with(|world, _| {
            let instance = world.things.get(instance).and_then(Thing::instance);
            instance.is_some_and(|instance| instance.frozen.is_some())
        })
    }

    /// Bytes of a volume, snapshot or image, fewer than `length` only at its end, and none where
    /// there is no such thing.
    pub fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Vec<u8> {
        self.with(|world, now| {
            world.write_as_guests(now);
            world.content_of(of).read(offset, length)
        })
    }

    /// Writes to a volume from inside, whatever holds it.
    ///
    /// # Panics
    ///
    /// Where there is no such volume, or it is too small.
    pub fn write(&self, volume: &ResourceRef, offset: u64, bytes: &[u8]) {
        self.with(|world, _| {
            let volume = world.things.get_mut(volume).and_then(Thing::volume_mut);
            let volume = volume.expect("a volume that exists");
            assert!(volume.content.write(offset, bytes), "past its end");
        });
    }

    /// Changes the first byte that a snapshot or image holds, as storage does that rots.
    ///
    /// # Panics
    ///
    /// Where there is no such snapshot or image, or it is empty.
    pub fn rot(&self, copy: &ResourceRef) {
        self.with(|world, _| {
            let content = match &mut world.things.get_mut(copy).expect("it exists").body {
                Body::Image(content) => content,
                Body::Snapshot(taken) => &mut taken.content,
                Body::Instance(_) | Body::Volume(_) => panic!("neither a snapshot nor an image"),
            };
            let flipped = !content.read(0, 1)[0];
            assert!(content.write(0, &[flipped]), "it is empty");
        });
    }

    /// Fills a volume with bytes that follow from the seed: some in every 64 KiB, holes between.
    ///
    /// # Panics
    ///
    /// Where there is no such volume.
    pub fn fill(&self, volume: &ResourceRef, seed: u64) {
        let size = self.with(|world, _| world.size_of(volume));
        let mut dice = fastrand::Rng::with_seed(seed);
        for offset in (0..size).step_by(64 * 1024) {
            let mut bytes = [0; 512];
            dice.fill(&mut bytes);
            let length = usize::try_from(size - offset).map_or(512, |left| left.min(512));
            self.write(volume, offset, &bytes[..length]);
        }
    }

    /// The content digest of a volume, snapshot or image.
    pub fn digest(&self, of: &ResourceRef) -> Digest {
        self.with(|world, now| {
            world.write_as_guests(now);
            world.content_of(of).digest()
        })
    }
}

impl World {
    fn foreign(&self, kind: ResourceKind, id: &str) -> ResourceRef {
        self.reference(kind, id).expect("a name that can be an id")
    }

    fn put_volume(&mut self, now: Timestamp, id: &str, size: u64) -> ResourceRef {
        let reference = self.foreign(ResourceKind::Volume, id);
        let volume = Volume {
            content: Content::new(size),
            reverted_by: None,
        };
        self.put(now, &reference, id.to_owned(), Body::Volume(volume));
        reference
    }

    fn put(&mut self, now: Timestamp, reference: &ResourceRef, name: String, body: Body) {
        let thing = Thing {
            name,
            labels: Labels::new(),
            created_at: now,
            maker: None,
            state: State::Available,
            body,
        };
        self.things.insert(reference.clone(), thing);
    }
}
