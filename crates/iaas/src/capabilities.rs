use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stillpoint_core::{Consistency, CopyKind, Memory, ResourceKind};

use crate::operation::OperationKind;

/// What a provider can do, as data: printable, storable, comparable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Capabilities {
    /// How it knows an operation again.
    pub identity: Identity,
    /// The operations it carries out; any other is refused as Unsupported before it changes
    /// anything.
    pub operations: BTreeSet<OperationKind>,
    /// How it takes snapshots, for each kind of source that it can.
    pub snapshots: BTreeMap<ResourceKind, SnapshotCapability>,
    /// Whether a running operation can be cancelled.
    pub cancel: bool,
    /// How instances are frozen.
    pub freeze: FreezeCapability,
    /// Whether it can say which blocks changed between two snapshots.
    pub changed_blocks: bool,
    /// How fast and how much at once it may be asked.
    pub limits: Limits,
}

/// How a system knows an operation by its key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Identity {
    /// A second submit under one key is refused or is the same operation (Kubernetes names,
    /// files). An absent one is absent as soon as no call is on its way.
    Enforced,
    /// What carries the key can be found by label or name, but a second submit makes a twin
    /// (OpenStack).
    Findable {
        /// How long after its submit an effect may still appear.
        settle: Duration,
    },
    /// Only the reply of the submit names the effect (a BOSH CPI): when the reply is lost, only
    /// a person can tell.
    TicketOnly,
}

impl Identity {
    /// How long after its submit an effect may still appear.
    pub const fn settle(self) -> Duration {
        match self {
            Self::Findable { settle } => settle,
            Self::Enforced | Self::TicketOnly => Duration::ZERO,
        }
    }
}

/// How snapshots are taken of one kind of source.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotCapability {
    /// The best that can be reached while the source runs; none: it must be off.
    pub live: Option<Consistency>,
    /// Whether it can be taken while the source is off.
    pub offline: bool,
    /// What can be held of memory.
    pub memory: Memory,
    /// Whether some of an instance's disks can be left out.
    pub disk_selection: bool,
    /// Whether all volumes of one snapshot are of one instant.
    pub atomic_group: bool,
    /// Whether several parts are taken in one operation; otherwise the engine takes each.
    pub composite: bool,
    /// Whether the copies share fate with their source.
    pub copy: CopyKind,
}

/// How instances are frozen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FreezeCapability {
    /// They are not.
    None,
    /// They thaw by themselves when the time given with the freeze is over.
    SelfThawing,
}

/// How fast and how much at once a provider may be asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Limits {
    /// Submitted operations that may run at once.
    pub at_once: u32,
    /// How many submits in which time; none: as many as you like.
    pub rate: Option<RateLimit>,
    /// How long one call may take before its reply counts as lost.
    pub call_timeout: Duration,
}

/// So many calls in so much time.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RateLimit {
    /// Calls; at least 1.
    pub calls: u32,
    /// In which time.
    pub per: Duration,
}

impl Capabilities {
    /// Whether the operation is carried out.
    pub fn can(&self, operation: OperationKind) -> bool {
        self.operations.contains(&operation)
    }
}
