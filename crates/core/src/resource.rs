use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::resource_ref::ResourceRef;

/// A thing a provider has, as it was when the provider was asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Resource {
    /// Its name in Stillpoint.
    pub reference: ResourceRef,
    /// What people call it there; often not unique.
    pub name: String,
    /// Its labels there.
    pub labels: Labels,
    /// When it was made, where the provider says so.
    pub created_at: Option<Timestamp>,
    /// Changes whenever the shape changes that a plan is bound to (identity, disks, sizes,
    /// attachments), and not when mere content does. Opaque; compare for equality only.
    pub fingerprint: String,
    /// What there is to say of its kind.
    pub detail: Detail,
}

/// What a resource of each kind has beside a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// Something to launch an instance from.
    Image {
        /// Bytes it holds, as a disk.
        size: u64,
    },
    /// A server or guest.
    Instance {
        /// Whether it runs.
        power: Power,
        /// Its disks, the boot disk first.
        disks: Vec<Disk>,
    },
    /// A snapshot of one volume.
    Snapshot {
        /// The volume it was taken of, which may be gone.
        of: ResourceRef,
        /// Bytes it holds, as a disk.
        size: u64,
    },
    /// A disk of its own.
    Volume {
        /// Its size in bytes.
        size: u64,
        /// The instances that have it attached.
        attached_to: Vec<ResourceRef>,
        /// Changes whenever its bytes may have changed (for a file: inode, size and change time);
        /// none where the provider cannot tell. Opaque; compare for equality only.
        content_stamp: Option<String>,
    },
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Power {
    /// It does not run, and nothing of it writes.
    Off,
    /// It runs, or is paused with its memory kept.
    On,
    /// The provider does not know (plain files: nobody says what a file belongs to).
    Unknown,
}

/// A disk of an instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Disk {
    /// The instance's own name for it, unique there, such as `root`.
    pub name: String,
    /// The volume behind it; none for an ephemeral disk, which no snapshot holds.
    pub volume: Option<ResourceRef>,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the instance boots from it.
    pub boot: bool,
}
