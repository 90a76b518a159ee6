use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use stillpoint_core::{
    Capture, Consistency, CopyKind, Detail, Disk, Labels, Power, Resource, ResourceRef,
};

use super::content::Content;
use super::world::World;
use crate::key::OperationKey;

/// Anything that exists in the simulated cloud.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) created_at: Timestamp,
    /// The operation that made it; none for what was there before, or is somebody else's.
    pub(super) maker: Option<Maker>,
    pub(super) state: State,
    pub(super) body: Body,
}

/// Which submit of which operation made a thing, and which of how many parts it is.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    pub(super) key: OperationKey,
    pub(super) attempt: u64,
    pub(super) part: usize,
    pub(super) parts: usize,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum State {
    Available,
    Creating,
    Deleting,
    /// Of no use, but there until it is deleted.
    Error(String),
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Image(Content),
    Instance(Instance),
    Snapshot(Taken),
    Volume(Volume),
}

#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) on: bool,
    pub(super) disks: Vec<Slot>,
    /// Whether a guest agent can freeze its file systems.
    pub(super) agent: bool,
    /// The number of the freeze that holds, to tell it from an earlier one.
    pub(super) frozen: Option<u64>,
    pub(super) writer: Option<Writer>,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) boot: bool,
    /// None where the disk is ephemeral.
    pub(super) volume: Option<ResourceRef>,
    pub(super) ephemeral_size: u64,
}

/// A guest that writes a counter to all of its disks, as one write each `every`.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) every: Duration,
    pub(super) counted: u64,
    /// Up to when its writes have been carried out.
    pub(super) until: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Volume {
    pub(super) content: Content,
    /// The operation whose revert gave it its bytes: the mark that a provider sets, or the
    /// identity of the file that was moved into place.
    pub(super) reverted_by: Option<OperationKey>,
}

#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) of: ResourceRef,
    pub(super) content: Content,
    pub(super) at: Timestamp,
    pub(super) consistency: Consistency,
    pub(super) capture: Capture,
    pub(super) copy: CopyKind,
    /// The volume's content stamp at that instant.
    pub(super) stamp: Option<String>,
}

impl Thing {
    pub(super) fn is_usable(&self) -> bool {
        self.state == State::Available
    }

    pub(super) fn instance(&self) -> Option<&Instance> {
        match &self.body {
            Body::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    pub(super) fn instance_mut(&mut self) -> Option<&mut Instance> {
        match &mut self.body {
            Body::Instance(instance) => Some(instance),
            _ => None,
        }
    }

    pub(super) fn volume_mut(&mut self) -> Option<&mut Volume> {
        match &mut self.body {
            Body::Volume(volume) => Some(volume),
            _ => None,
        }
    }

    pub(super) fn content(&self) -> Option<&Content> {
        match &self.body {
            Body::Image(content) => Some(content),
            Body::Instance(_) => None,
            Body::Snapshot(taken) => Some(&taken.content),
            Body::Volume(volume) => Some(&volume.content),
        }
    }

    /// What a provider says of it.
    pub(super) fn describe(&self, reference: &ResourceRef, around: &World) -> Resource {
        let created = self.created_at;
        let (shape, detail) = match &self.body {
            Body::Image(content) => {
                let size = content.size();
                (format!("{size}"), Detail::Image { size })
            }
            Body::Instance(instance) => {
                let disks = instance.disks.iter().map(|slot| slot.describe(around));
                let disks: Vec<_> = disks.collect();
                let power = match instance.on {
                    _ if !around.personality.knows_power() => Power::Unknown,
                    true => Power::On,
                    false => Power::Off,
                };
                (format!("{disks:?}"), Detail::Instance { power, disks })
            }
            Body::Snapshot(taken) => {
                let (of, size) = (taken.of.clone(), taken.content.size());
                (format!("{of} {size}"), Detail::Snapshot { of, size })
            }
            Body::Volume(volume) => {
                let size = volume.content.size();
                let attached_to = around.attached_to(reference);
                let shape = format!("{size} {attached_to:?}");
                let content_stamp = around.stamp(reference);
                let detail = Detail::Volume {
                    size,
                    attached_to,
                    content_stamp,
                };
                (shape, detail)
            }
        };
        Resource {
            reference: reference.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            created_at: Some(created),
            fingerprint: fingerprint(&format!("{created} {shape}")),
            detail,
        }
    }
}

impl Slot {
    fn describe(&self, around: &World) -> Disk {
        Disk {
            name: self.name.clone(),
            volume: self.volume.clone(),
            size: match &self.volume {
                Some(volume) => around.size_of(volume),
                None => self.ephemeral_size,
            },
            boot: self.boot,
        }
    }
}

/// Short, and the same for the same shape: power, names and content are no part of it.
fn fingerprint(shape: &str) -> String {
    let digest = Sha256::digest(shape);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
