use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::consistency::{ConsistencyRecord, Memory};
use crate::digest::Digest;
use crate::id::{JobId, SnapshotId};
use crate::labels::Labels;
use crate::resource_ref::ResourceRef;

/// A snapshot, as the catalogue knows it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snapshot {
    /// Its id here, whatever the provider calls its parts.
    pub id: SnapshotId,
    /// The instance, volume or image it is of.
    pub source: ResourceRef,
    /// Its name; given or generated, and changeable.
    pub name: String,
    /// Free text, changeable.
    pub description: String,
    /// Labels, changeable.
    pub labels: Labels,
    /// Where it stands.
    pub state: SnapshotState,
    /// What it holds: one part a volume, the boot disk first.
    pub parts: Vec<Part>,
    /// What its source had and it does not hold.
    pub omitted: Vec<Omission>,
    /// Which consistency was preferred, demanded and reached.
    pub consistency: ConsistencyRecord,
    /// What it holds of memory.
    pub memory: Memory,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// The point in time it holds, confirmed by the provider; none until then.
    pub taken_at: Option<Timestamp>,
    /// What was proven of its bytes, and when; none until it was.
    pub verified: Option<Verified>,
    /// Its copies in archives, the oldest first. Where there is none it is no backup: it shares
    /// the fate of its provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Exported>,
    /// Why it must be kept; while there is one, nothing deletes it.
    pub pins: BTreeSet<String>,
    /// The schedule whose runs took it, and whose retention may delete it; none: taken by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// From when on nobody wants it any more; none: it stays until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The job that took it.
    pub job: JobId,
}

/// Where a snapshot stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SnapshotState {
    /// Only archives hold it ([`Snapshot::exports`]): it was imported, and is restored from one.
    Archived,
    /// A job is taking it.
    Creating,
    /// A job is deleting it.
    Deleting,
    /// Some of its parts are there and some are not: they were not taken, or are deleted since.
    Partial,
    /// The provider confirmed all of its parts.
    Taken,
}

/// One volume's share of a snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Part {
    /// The disk's name on the instance, or the volume's id.
    pub disk: String,
    /// The volume it is of, which may be gone by now.
    pub volume: ResourceRef,
    /// The provider's own snapshot of it.
    pub snapshot: ResourceRef,
    /// Bytes of the volume.
    pub size: u64,
    /// Whether the instance boots from it.
    pub boot: bool,
    /// Whether it shares fate with its source.
    pub copy: CopyKind,
    /// The content digest of its bytes; none until they were read.
    pub digest: Option<Digest>,
}

/// A copy of a snapshot in an archive, which was read back and matched.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exported {
    /// Where: `file:/backup/nightly.zip`, or `depot:offsite/nightly`.
    pub archive: String,
    /// Bytes of the archive.
    pub size: u64,
    /// The root of its manifest: an archive with another one is another archive.
    pub root: Digest,
    /// When it was read back.
    pub at: Timestamp,
    /// The job that did.
    pub job: JobId,
}

/// Whether a copy has storage of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CopyKind {
    /// It has bytes of its own on the same storage system.
    Full,
    /// It shares blocks with its source: what destroys those destroys both.
    Shallow,
}

/// Something of the source that a snapshot does not hold.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Omission {
    /// What is missing, such as `disk scratch`.
    pub what: String,
    /// Why.
    pub reason: OmissionReason,
}

/// Why something is not in a snapshot.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OmissionReason {
    /// It was taken and is deleted since, and the rest was not.
    Deleted,
    /// The disk is ephemeral: it lives and dies with the instance.
    Ephemeral,
    /// The caller left it out.
    NotSelected,
    /// The provider cannot capture it.
    Unsupported,
}

/// What was proven of a snapshot's bytes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verified {
    /// How much was proven.
    pub level: VerifyLevel,
    /// When.
    pub at: Timestamp,
}

/// How much a verification proves, least first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerifyLevel {
    /// Every byte was read back twice, and matched itself: the storage answers, and answers the
    /// same. What a live source leaves possible, since it moves on at once.
    ReadBack,
    /// Every byte was read back and matched the source, which had not changed meanwhile.
    Source,
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            OmissionReason::Deleted => "deleted since",
            OmissionReason::Ephemeral => "ephemeral",
            OmissionReason::NotSelected => "not selected",
            OmissionReason::Unsupported => "the provider cannot capture it",
        };
        write!(f, "{} ({why})", self.what)
    }
}
