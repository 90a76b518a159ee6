use serde::{Deserialize, Serialize};
use stillpoint_core::Omission;

use crate::capabilities::SnapshotCapability;

/// What may come of one source, or of one snapshot, just now, where that is not what the
/// [`Capabilities`](crate::Capabilities) say of all sources of its kind. The default: nothing else.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outlook {
    /// How snapshots are taken of it; none: as of all of its kind.
    pub can: Option<SnapshotCapability>,
    /// Why no better consistency is reachable while it runs, in words that end a sentence.
    pub short_of: Option<String>,
    /// What no snapshot of it holds, beside disks and memory: ports, addresses.
    pub omitted: Vec<Omission>,
    /// To which of its snapshots it can be reverted.
    pub reverts: Reverts,
    /// How many snapshots of its volumes the quota leaves; none: there is no quota, or nobody
    /// tells. A group that needs more is refused before anything is frozen for it.
    pub snapshots_left: Option<u64>,
    /// Of a snapshot or an image: what stands in the way of a new instance that boots from it, a
    /// line each. Asked before anything is made for such an instance.
    pub launch_blocked_by: Vec<String>,
}

/// To which of its snapshots a source can be reverted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reverts {
    /// To any.
    #[default]
    ToAny,
    /// Each volume to its latest alone, so that no safety snapshot can come between (Cinder).
    ToLatest,
}
