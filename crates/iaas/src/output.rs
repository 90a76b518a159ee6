use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Capture, Consistency, CopyKind, Memory, ResourceRef};

/// What an operation brought about.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// A resource that was not there before.
    Created(ResourceRef),
    /// A change to what was there.
    Nothing,
    /// Snapshots of volumes.
    Snapshot(TakenSnapshot),
}

/// What a provider confirms of a snapshot that it took.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TakenSnapshot {
    /// One for each volume taken, in the order asked for.
    pub parts: Vec<TakenPart>,
    /// The point in time they hold: the latest, where they were taken one after another.
    pub taken_at: Timestamp,
    /// The consistency reached, by the provider's own evidence.
    pub consistency: Consistency,
    /// Whether the source ran meanwhile.
    pub capture: Capture,
    /// What is held of memory.
    pub memory: Memory,
}

/// A volume's snapshot at the provider.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TakenPart {
    /// The volume.
    pub volume: ResourceRef,
    /// Its snapshot.
    pub snapshot: ResourceRef,
    /// Bytes of the volume.
    pub size: u64,
    /// Whether it shares fate with the volume.
    pub copy: CopyKind,
    /// The volume's content stamp when it was taken, where the provider has such: while it
    /// stands, the volume's bytes must equal the snapshot's.
    pub content_stamp: Option<String>,
}

impl Output {
    /// The resources that exist because of it: what an undo deletes.
    pub fn created(&self) -> Vec<ResourceRef> {
        match self {
            Self::Created(resource) => vec![resource.clone()],
            Self::Nothing => Vec::new(),
            Self::Snapshot(taken) => taken
                .parts
                .iter()
                .map(|part| part.snapshot.clone())
                .collect(),
        }
    }
}
