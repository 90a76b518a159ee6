//! A run in the ledger: what became of it, resource by resource.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{ErrorReport, JobId, ResourceRef, SnapshotId};
use stillpoint_schedule::{Run, RunKey};

use super::spec::ScheduleSpec;
use crate::retention::Pruned;

/// A run of a schedule, as the ledger has it. There is one for every run that was fired, and one
/// for every row of runs that were missed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScheduledRun {
    /// The run: its time on the wall, and the instant it was due.
    pub run: Run,
    /// The schedule as it was when this was fired: what runs is that.
    pub spec: ScheduleSpec,
    /// When it was found to be due.
    pub fired_at: Timestamp,
    /// When it began; none if it has not, or never will.
    pub began_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Where it stands.
    pub state: RunState,
    /// What retention did after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
}

/// Where a run stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// It broke off: something panicked, or what is stored of it cannot be read. What it had
    /// taken is in its items; nothing was pruned. It is not done again.
    Broken {
        /// How many snapshots were taken until then.
        taken: usize,
        /// What it broke off with.
        error: ErrorReport,
    },
    /// Everything it selected was taken.
    Done {
        /// How many snapshots.
        taken: usize,
    },
    /// It selected nothing.
    Empty,
    /// We tried, and not everything could be taken: the cloud's doing, or the request's.
    Failed {
        /// How many snapshots were taken all the same.
        taken: usize,
        /// How many resources were not.
        failed: usize,
        /// Providers that could not say what they have.
        unreachable: Vec<ErrorReport>,
    },
    /// It goes on.
    Going,
    /// Nobody tried: we were down, or the clock was put forward. This run and all up to
    /// `through`; the schedule's policy did not make up for them.
    Missed {
        /// The last of them.
        through: Run,
    },
    /// Dropped, as the schedule's policy says, because an earlier one was not over.
    Overlapped,
    /// It waits until an earlier one is over.
    Waiting,
}

/// What became of one resource in a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RunItem {
    /// The resource.
    pub resource: ResourceRef,
    /// The job that took it; none where it did not come to one.
    pub job: Option<JobId>,
    /// When that was known.
    pub at: Timestamp,
    /// What came of it.
    pub result: ItemResult,
}

/// What came of one resource in a run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemResult {
    /// It was not taken.
    Failed(ErrorReport),
    /// It was taken.
    Taken(SnapshotId),
}

impl ScheduledRun {
    /// Its key: the schedule's name and the time on the wall.
    pub fn key(&self) -> RunKey {
        self.run.key(&self.spec.name)
    }
}

impl RunState {
    /// Whether something is still to come.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Going | Self::Waiting)
    }
}

impl RunItem {
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self.result, ItemResult::Taken(_))
    }
}
