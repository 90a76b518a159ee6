use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, Progress, ResourceRef, Unit};

use crate::key::OperationKey;
use crate::operation::Operation;

/// An operation that runs.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) client: u64,
    pub(super) key: OperationKey,
    pub(super) operation: Operation,
    pub(super) fate: Fate,
    pub(super) began: Timestamp,
    pub(super) due: Timestamp,
    /// The instance that this job froze, and thaws when its last part is taken.
    pub(super) quiesced: Option<ResourceRef>,
    /// Whether it is on its way out because somebody cancelled it.
    pub(super) cancelling: bool,
}

/// How an operation will end, known only to the simulation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Fails { after: Duration },
    HalfDone { at: usize, leaves: bool },
    Succeeds { late_by: Duration },
}

impl Fate {
    pub(super) const FINE: Self = Self::Succeeds {
        late_by: Duration::ZERO,
    };

    /// How much longer than usual it runs.
    pub(super) fn extra(self) -> Duration {
        match self {
            Self::Fails { after } => after,
            Self::HalfDone { .. } => Duration::ZERO,
            Self::Succeeds { late_by } => late_by,
        }
    }
}

/// How an operation ended, where that cannot be seen from the things it made.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) client: u64,
    /// None where it was cancelled.
    pub(super) error: Option<Error>,
}

impl Job {
    /// What it needs to itself until it is over.
    pub(super) fn holds(operation: &Operation) -> Vec<&ResourceRef> {
        match operation {
            Operation::Attach { volume, .. } | Operation::Detach { volume, .. } => vec![volume],
            Operation::CreateInstance { disks, .. } => {
                disks.iter().map(|disk| &disk.volume).collect()
            }
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone }
            | Operation::DeleteVolume { volume: gone }
            | Operation::PowerOff { instance: gone }
            | Operation::PowerOn { instance: gone }
            | Operation::Revert { volume: gone, .. } => vec![gone],
            _ => Vec::new(),
        }
    }

    /// What must stay as it is meanwhile.
    pub(super) fn uses(operation: &Operation) -> Vec<&ResourceRef> {
        match operation {
            Operation::Attach { instance, .. } | Operation::Detach { instance, .. } => {
                vec![instance]
            }
            Operation::CreateImage { from, .. } => vec![from],
            Operation::CreateVolume { from, .. } => from.iter().collect(),
            Operation::Revert { to, .. } => vec![to],
            Operation::Snapshot(take) => take
                .parts
                .iter()
                .map(|part| &part.volume)
                .chain([&take.source])
                .collect(),
            _ => Vec::new(),
        }
    }

    /// How far it is, by its time and in bytes or per cent.
    pub(super) fn progress(&self, now: Timestamp, bytes: u64) -> Progress {
        let total = self.due.duration_since(self.began).as_secs_f64();
        let passed = now.duration_since(self.began).as_secs_f64();
        let share = if total > 0.0 {
            (passed / total).clamp(0.0, 1.0)
        } else {
            1.0
        };
        let mut progress = match bytes {
            0 => Progress::new(Unit::Steps, 100),
            bytes => Progress::new(Unit::Bytes, bytes),
        };
        progress.advance_to((progress.total() as f64 * share) as u64);
        progress
    }
}
