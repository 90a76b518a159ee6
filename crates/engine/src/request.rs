use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::{Consistency, JobId, Labels, Memory, ResourceRef, SnapshotId};

/// Something asked of the engine, as data. It becomes a plan before anything happens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Keep the result of a restore in place, and delete its safety snapshot.
    Accept {
        /// The restore.
        job: JobId,
    },
    /// Take a snapshot of the control plane itself, as an [`Executor`](crate::Executor) of the
    /// embedder's captures it: see [`ManagerWork`](crate::ManagerWork).
    Capture {
        /// The executor.
        executor: String,
        /// The snapshot's name.
        name: String,
        /// The schedule whose run this is; none: taken by hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schedule: Option<String>,
    },
    /// What a [`CustomPlanner`](crate::CustomPlanner) knows how to plan.
    Custom(CustomRequest),
    /// Delete a snapshot.
    Delete {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// Remove something of ours that nobody knows of: see
    /// [`Engine::orphans`](crate::Engine::orphans). What is known or foreign is refused.
    Remove {
        /// What.
        resource: ResourceRef,
    },
    /// Bring back what a snapshot holds.
    Restore(Restore),
    /// Take a snapshot.
    Take(Take),
    /// Put the target of a restore in place back to what it was before it.
    Undo {
        /// The restore.
        job: JobId,
    },
}

/// A request of an embedder's own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CustomRequest {
    /// The name that its planner is registered under.
    pub planner: String,
    /// What a person reads: `export snapshot … to …`.
    pub title: String,
    /// Whatever the planner understands.
    pub body: Value,
}

/// A snapshot to take.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Take {
    /// The instance or volume.
    pub source: ResourceRef,
    /// What of it.
    pub scope: Scope,
    /// Only these disks of the instance; none: all that can be taken.
    #[serde(default)]
    pub disks: Option<Vec<String>>,
    /// The level wished for.
    #[serde(default)]
    pub prefer: Consistency,
    /// The least level accepted.
    #[serde(default)]
    pub at_least: Consistency,
    /// What to hold of memory.
    #[serde(default)]
    pub memory: Memory,
    /// Power the instance off for as long as the work takes, and on after it; the
    /// time is for powering it on, an hour at least, before a person is asked. None: never.
    #[serde(default)]
    pub may_power_off: Option<Duration>,
    /// Its name; none: the source's id and the time.
    #[serde(default)]
    pub name: Option<String>,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Labels of the snapshot, also set at the provider.
    #[serde(default)]
    pub labels: Labels,
    /// Whether the bytes are read back before the job is over, where the provider lets us.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The schedule whose run this is; none: taken by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
}

/// What of a source a snapshot holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// Its root disk, as an image to launch instances from.
    Image,
    /// Its volumes.
    #[default]
    Volumes,
}

/// A snapshot to restore.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Restore {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Where to.
    pub to: Target,
    /// Only these disks; none: all that the snapshot holds.
    #[serde(default)]
    pub disks: Option<Vec<String>>,
    /// Power the target off for as long as the work takes, and on after it; the
    /// time is for powering it on, an hour at least, before a person is asked. None: never.
    #[serde(default)]
    pub may_power_off: Option<Duration>,
    /// Over the target without a way back, where its provider leaves none: see
    /// [`Reverts::ToLatest`](stillpoint_iaas::Reverts::ToLatest). Elsewhere it changes nothing.
    #[serde(default)]
    pub without_undo: bool,
}

/// Where a snapshot is restored to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// Over the volumes it was taken of. A safety snapshot of them is taken first and kept until
    /// the restore is undone or accepted.
    InPlace,
    /// A new instance with new volumes, or for a volume's snapshot a new volume.
    New {
        /// Its name; new volumes are named after it.
        name: String,
    },
    /// An image that others may launch from.
    Template {
        /// Its name.
        name: String,
    },
}

impl Take {
    /// All volumes of `source`, with no demands.
    pub fn of(source: ResourceRef) -> Self {
        Self {
            source,
            scope: Scope::Volumes,
            disks: None,
            prefer: Consistency::PerVolume,
            at_least: Consistency::PerVolume,
            memory: Memory::No,
            may_power_off: None,
            name: None,
            description: String::new(),
            labels: Labels::new(),
            verify: true,
            schedule: None,
        }
    }
}

impl Restore {
    /// Everything the snapshot holds, over what it was taken of.
    pub fn in_place(snapshot: SnapshotId) -> Self {
        Self {
            snapshot,
            to: Target::InPlace,
            disks: None,
            may_power_off: None,
            without_undo: false,
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept { job } => write!(f, "accept restore {job}"),
            Self::Capture { executor, .. } => write!(f, "capture the manager by `{executor}`"),
            Self::Custom(custom) => f.write_str(&custom.title),
            Self::Delete { snapshot } => write!(f, "delete snapshot {snapshot}"),
            Self::Remove { resource } => write!(f, "remove {resource}, which nobody knows of"),
            Self::Restore(Restore { snapshot, to, .. }) => match to {
                Target::InPlace => write!(f, "restore snapshot {snapshot} in place"),
                Target::New { name } => write!(f, "restore snapshot {snapshot} to new `{name}`"),
                Target::Template { name } => {
                    write!(f, "make template `{name}` of snapshot {snapshot}")
                }
            },
            Self::Take(Take {
                source,
                scope: Scope::Image,
                ..
            }) => {
                write!(f, "take an image of {source}")
            }
            Self::Take(Take { source, .. }) => write!(f, "take a snapshot of {source}"),
            Self::Undo { job } => write!(f, "undo restore {job}"),
        }
    }
}

const fn yes() -> bool {
    true
}
