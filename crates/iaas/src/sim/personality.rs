use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use stillpoint_core::{Consistency, CopyKind, Memory, ResourceKind};

use crate::capabilities::{Capabilities, FreezeCapability, Identity, Limits, SnapshotCapability};
use crate::operation::OperationKind;

/// Which sort of real system the simulated cloud behaves like.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Personality {
    /// Objects named by the key, and controllers that make them true, whatever became of the
    /// client (KubeVirt). A second submit is the same object; to stop is to delete it.
    Declarative,
    /// Files and records on this machine, copied by the client itself: what is unfinished when
    /// it dies is litter that the next start sweeps up.
    Files,
    /// Jobs inside a host process that the client owns (QEMU): they die with it, and leave
    /// unfinished overlays behind.
    InProcess,
    /// One process a call, whose reply alone names what it made; no list, no way to ask
    /// (a BOSH CPI).
    Process,
    /// A REST service with labels (OpenStack): a second submit makes a twin, and an effect may
    /// show late.
    Rest,
}

impl Personality {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Declarative,
        Self::Files,
        Self::InProcess,
        Self::Process,
        Self::Rest,
    ];

    /// What a system of this sort can do.
    pub fn capabilities(self) -> Capabilities {
        Capabilities {
            identity: match self {
                Self::Declarative | Self::Files | Self::InProcess => Identity::Enforced,
                Self::Process => Identity::TicketOnly,
                Self::Rest => Identity::Findable {
                    settle: Duration::from_secs(120),
                },
            },
            operations: self.operations(),
            snapshots: BTreeMap::from([
                (ResourceKind::Instance, self.instance_snapshot()),
                (ResourceKind::Volume, self.volume_snapshot()),
            ]),
            cancel: self != Self::Process,
            freeze: match self {
                Self::Declarative | Self::Files | Self::InProcess => FreezeCapability::SelfThawing,
                Self::Process | Self::Rest => FreezeCapability::None,
            },
            changed_blocks: false,
            limits: Limits {
                at_once: 64,
                rate: None,
                call_timeout: match self {
                    // Nobody puts a limit on how long a CPI method may run.
                    Self::Process => Duration::from_secs(600),
                    _ => Duration::from_secs(60),
                },
            },
        }
    }

    fn operations(self) -> BTreeSet<OperationKind> {
        use OperationKind::*;
        let all = BTreeSet::from([
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
        ]);
        let missing: &[OperationKind] = match self {
            Self::Declarative | Self::InProcess => &[],
            Self::Files => &[PowerOff, PowerOn],
            Self::Process => &[
                CreateImage,
                DeleteImage,
                Freeze,
                PowerOff,
                PowerOn,
                Revert,
                Thaw,
            ],
            Self::Rest => &[Freeze, Thaw],
        };
        &all - &missing.iter().copied().collect()
    }

    fn instance_snapshot(self) -> SnapshotCapability {
        SnapshotCapability {
            live: Some(match self {
                Self::Process => Consistency::Crash,
                _ => Consistency::Filesystem,
            }),
            offline: true,
            memory: Memory::No,
            disk_selection: !matches!(self, Self::Declarative | Self::Rest),
            atomic_group: matches!(self, Self::Declarative | Self::InProcess),
            composite: self.composite(),
            copy: self.copy(),
        }
    }

    fn volume_snapshot(self) -> SnapshotCapability {
        SnapshotCapability {
            live: match self {
                // A file that something writes is refused, unless that is frozen.
                Self::Files => None,
                _ => Some(Consistency::Crash),
            },
            composite: false,
            ..self.instance_snapshot()
        }
    }

    fn composite(self) -> bool {
        matches!(self, Self::Declarative | Self::InProcess | Self::Rest)
    }

    /// Whether copies share fate with their source.
    fn copy(self) -> CopyKind {
        match self {
            Self::Declarative | Self::InProcess | Self::Rest => CopyKind::Shallow,
            Self::Files | Self::Process => CopyKind::Full,
        }
    }

    /// Whether running work dies with the client.
    pub(super) fn dies_with_client(self) -> bool {
        matches!(self, Self::Files | Self::InProcess)
    }

    /// Whether the system itself remembers operations that failed or were cancelled; otherwise
    /// only the client does, while it lives.
    pub(super) fn remembers_ends(self) -> bool {
        self == Self::Declarative
    }

    /// Whether a volume that has snapshots cannot be deleted.
    pub(super) fn snapshots_hold_volume(self) -> bool {
        matches!(self, Self::InProcess | Self::Rest)
    }

    /// Whether it knows if an instance runs.
    pub(super) fn knows_power(self) -> bool {
        !matches!(self, Self::Files | Self::Process)
    }

    /// From a call's start until the system has it, and as long again until the reply is here.
    pub(super) fn latency(self) -> Duration {
        Duration::from_millis(match self {
            Self::Declarative => 20,
            Self::Files | Self::InProcess => 1,
            Self::Process => 150,
            Self::Rest => 80,
        })
    }

    /// How long an operation runs, or one part of a snapshot.
    pub(super) fn duration(self, operation: OperationKind) -> Duration {
        let on_rest = match operation {
            OperationKind::Attach | OperationKind::Detach => 1500,
            OperationKind::CreateImage => 12_000,
            OperationKind::CreateInstance => 8000,
            OperationKind::CreateVolume => 3000,
            OperationKind::Freeze | OperationKind::Thaw => 150,
            OperationKind::PowerOff => 20_000,
            OperationKind::PowerOn => 4000,
            OperationKind::Revert => 8000,
            OperationKind::SetLabels => 50,
            OperationKind::Snapshot => 2000,
            _ => 1000,
        };
        Duration::from_millis(match self {
            Self::Rest | Self::Process => on_rest,
            Self::Declarative => on_rest / 2,
            Self::Files | Self::InProcess => on_rest / 10,
        })
    }

    /// When to look again at something that runs.
    pub(super) fn look_again_in(self) -> Duration {
        Duration::from_millis(match self {
            Self::Files | Self::InProcess => 50,
            Self::Declarative => 500,
            Self::Process | Self::Rest => 1000,
        })
    }
}

impl fmt::Display for Personality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declarative => "declarative",
            Self::Files => "files",
            Self::InProcess => "in-process",
            Self::Process => "process",
            Self::Rest => "rest",
        })
    }
}
