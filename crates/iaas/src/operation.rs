use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stillpoint_core::{CopyKind, Labels, Memory, ResourceRef};

/// One thing asked of a provider, as data.
///
/// Every variant is of one effect, so that "did it happen?" has an answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// Give an instance a volume as one of its disks.
    Attach {
        /// The instance.
        instance: ResourceRef,
        /// The volume.
        volume: ResourceRef,
        /// The instance's name for it.
        disk: String,
    },
    /// Make an image to launch instances from.
    CreateImage {
        /// Its name there.
        name: String,
        /// Its labels there.
        labels: Labels,
        /// The snapshot of the root disk that it holds.
        from: ResourceRef,
    },
    /// Make an instance from volumes that exist.
    CreateInstance {
        /// Its name there.
        name: String,
        /// Its labels there.
        labels: Labels,
        /// Its disks, the boot disk first.
        disks: Vec<NewDisk>,
    },
    /// Make a volume.
    CreateVolume {
        /// Its name there.
        name: String,
        /// Its labels there.
        labels: Labels,
        /// Its size in bytes; at least that of what it is made from.
        size: u64,
        /// The snapshot or image whose bytes it starts with; zeros otherwise.
        from: Option<ResourceRef>,
    },
    /// Delete an image. One that is gone is a success.
    DeleteImage {
        /// The image.
        image: ResourceRef,
    },
    /// Delete an instance, but not its volumes. One that is gone is a success.
    DeleteInstance {
        /// The instance.
        instance: ResourceRef,
    },
    /// Delete a snapshot of a volume. One that is gone is a success; one that something still
    /// depends on is refused.
    DeleteSnapshot {
        /// The provider's snapshot.
        snapshot: ResourceRef,
    },
    /// Delete a volume. One that is gone is a success; one that is attached is refused.
    DeleteVolume {
        /// The volume.
        volume: ResourceRef,
    },
    /// Take a volume away from an instance.
    Detach {
        /// The instance.
        instance: ResourceRef,
        /// The volume.
        volume: ResourceRef,
    },
    /// Flush an instance's file systems and hold its writes.
    Freeze {
        /// The instance.
        instance: ResourceRef,
        /// After which it thaws by itself, whatever became of us.
        at_most: Duration,
    },
    /// Stop an instance.
    PowerOff {
        /// The instance.
        instance: ResourceRef,
    },
    /// Start an instance.
    PowerOn {
        /// The instance.
        instance: ResourceRef,
    },
    /// Put a volume's bytes back to those of a snapshot, in place.
    Revert {
        /// The volume.
        volume: ResourceRef,
        /// The snapshot.
        to: ResourceRef,
    },
    /// Set these labels on a resource, and leave its others.
    SetLabels {
        /// The resource.
        resource: ResourceRef,
        /// The labels to set.
        labels: Labels,
    },
    /// Take a snapshot of one or more volumes.
    Snapshot(TakeSnapshot),
    /// Let a frozen instance write again. One that is not frozen is a success.
    Thaw {
        /// The instance.
        instance: ResourceRef,
    },
}

/// The composite snapshot: a provider that can takes it whole; for others the engine lowers it to
/// freeze, one part each, thaw.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TakeSnapshot {
    /// The instance or volume it is of.
    pub source: ResourceRef,
    /// The volumes to take, the boot disk first.
    pub parts: Vec<DiskOf>,
    /// Its name there.
    pub name: String,
    /// Labels for every part.
    pub labels: Labels,
    /// All parts of one instant, or none at all.
    pub group: bool,
    /// Freeze inside the call, for at most this long; none: don't.
    pub quiesce: Option<Duration>,
    /// What to hold of memory.
    pub memory: Memory,
    /// Whether storage of its own is wanted.
    pub copy: CopyKind,
}

/// A volume of the source, and what the source calls it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DiskOf {
    /// The disk's name on the instance, or the volume's id.
    pub disk: String,
    /// The volume.
    pub volume: ResourceRef,
}

/// A disk of an instance to be made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NewDisk {
    /// The instance's name for it.
    pub name: String,
    /// The volume behind it, which must exist and be attached nowhere.
    pub volume: ResourceRef,
    /// Whether the instance boots from it.
    pub boot: bool,
}

/// An [`Operation`] without its arguments: what [`Capabilities`](crate::Capabilities) lists.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the operation of the same name")]
pub enum OperationKind {
    Attach,
    CreateImage,
    CreateInstance,
    CreateVolume,
    DeleteImage,
    DeleteInstance,
    DeleteSnapshot,
    DeleteVolume,
    Detach,
    Freeze,
    PowerOff,
    PowerOn,
    Revert,
    SetLabels,
    Snapshot,
    Thaw,
}

impl Operation {
    /// Which operation it is.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Attach { .. } => OperationKind::Attach,
            Self::CreateImage { .. } => OperationKind::CreateImage,
            Self::CreateInstance { .. } => OperationKind::CreateInstance,
            Self::CreateVolume { .. } => OperationKind::CreateVolume,
            Self::DeleteImage { .. } => OperationKind::DeleteImage,
            Self::DeleteInstance { .. } => OperationKind::DeleteInstance,
            Self::DeleteSnapshot { .. } => OperationKind::DeleteSnapshot,
            Self::DeleteVolume { .. } => OperationKind::DeleteVolume,
            Self::Detach { .. } => OperationKind::Detach,
            Self::Freeze { .. } => OperationKind::Freeze,
            Self::PowerOff { .. } => OperationKind::PowerOff,
            Self::PowerOn { .. } => OperationKind::PowerOn,
            Self::Revert { .. } => OperationKind::Revert,
            Self::SetLabels { .. } => OperationKind::SetLabels,
            Self::Snapshot(_) => OperationKind::Snapshot,
            Self::Thaw { .. } => OperationKind::Thaw,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach {
                instance,
                volume,
                disk,
            } => {
                write!(f, "attach {volume} to {instance} as `{disk}`")
            }
            Self::CreateImage { name, from, .. } => write!(f, "make image `{name}` from {from}"),
            Self::CreateInstance { name, disks, .. } => {
                write!(f, "make instance `{name}` with {} disks", disks.len())
            }
            Self::CreateVolume {
                name,
                from: Some(from),
                ..
            } => {
                write!(f, "make volume `{name}` from {from}")
            }
            Self::CreateVolume {
                name,
                size,
                from: None,
                ..
            } => {
                write!(f, "make empty volume `{name}` of {size} bytes")
            }
            Self::DeleteImage { image: gone }
            | Self::DeleteInstance { instance: gone }
            | Self::DeleteSnapshot { snapshot: gone }
            | Self::DeleteVolume { volume: gone } => write!(f, "delete {gone}"),
            Self::Detach { instance, volume } => write!(f, "detach {volume} from {instance}"),
            Self::Freeze { instance, at_most } => {
                write!(f, "freeze {instance} for at most {at_most:?}")
            }
            Self::PowerOff { instance } => write!(f, "power {instance} off"),
            Self::PowerOn { instance } => write!(f, "power {instance} on"),
            Self::Revert { volume, to } => write!(f, "revert {volume} to {to}"),
            Self::SetLabels { resource, labels } => {
                write!(f, "set {} labels on {resource}", labels.len())
            }
            Self::Snapshot(take) => match take.parts.as_slice() {
                [only] => write!(f, "snapshot {}", only.volume),
                parts => write!(f, "snapshot {} volumes of {}", parts.len(), take.source),
            },
            Self::Thaw { instance } => write!(f, "thaw {instance}"),
        }
    }
}
