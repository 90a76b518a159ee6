//! What is kept of each kind of resource. Ids are file names, so that a folder can be opened
//! under another provider name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Capture, Consistency, CopyKind, Labels};
use stillpoint_iaas::OperationKey;

use crate::folder::Area;
use crate::record::Record;

/// A volume's own record: optional, since any file put into the folder is a volume.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct VolumeRecord {
    pub(crate) name: Option<String>,
    pub(crate) labels: Labels,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) created_by: Option<OperationKey>,
    /// Bytes it had when we last changed it: a shorter file has been cut.
    pub(crate) size: u64,
    /// The last operations that reverted it, latest last.
    pub(crate) reverted_by: Vec<OperationKey>,
}

impl VolumeRecord {
    /// Reverts remembered: far more than jobs can be unsettled on one volume, which is claimed.
    const REVERTS: usize = 16;

    pub(crate) fn reverted(&mut self, by: OperationKey) {
        self.reverted_by.push(by);
        let surplus = self.reverted_by.len().saturating_sub(Self::REVERTS);
        self.reverted_by.drain(..surplus);
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SnapshotRecord {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) created_by: OperationKey,
    pub(crate) of: String,
    pub(crate) size: u64,
    /// Of the volume at that instant.
    pub(crate) content_stamp: String,
    pub(crate) taken_at: Timestamp,
    pub(crate) consistency: Consistency,
    pub(crate) capture: Capture,
    pub(crate) copy: CopyKind,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ImageRecord {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: OperationKey,
    pub(crate) size: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct InstanceRecord {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) created_at: Timestamp,
    /// None for one that the embedder declared.
    pub(crate) created_by: Option<OperationKey>,
    pub(crate) disks: Vec<DiskRecord>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct DiskRecord {
    pub(crate) name: String,
    /// None for an ephemeral disk.
    pub(crate) volume: Option<String>,
    /// Bytes of an ephemeral disk; those of a volume are its file's.
    pub(crate) size: u64,
    pub(crate) boot: bool,
}

impl Record for VolumeRecord {
    const AREA: Area = Area::Volumes;
    const REMEDY: &str =
        "Put it back from a copy, or remove it: the volume is whole without it, but for labels";
}

impl Record for SnapshotRecord {
    const AREA: Area = Area::Snapshots;
    const REMEDY: &str =
        "Put it back from a copy, or delete the snapshot: other snapshots are not affected";
}

impl Record for ImageRecord {
    const AREA: Area = Area::Images;
    const REMEDY: &str = "Put it back from a copy, or delete the image: nothing else needs it";
}

impl Record for InstanceRecord {
    const AREA: Area = Area::Instances;
    const REMEDY: &str =
        "Put it back from a copy, or delete the instance and make it anew: its volumes are whole";
}

/// The name of the file with the bytes of a snapshot or an image.
pub(crate) fn data_file(id: &str) -> String {
    format!("{id}.raw")
}
