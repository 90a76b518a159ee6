//! A run is due while another of the same schedule is still going.

use serde::{Deserialize, Serialize};

/// What to do with a run that is due while another of the same schedule is still going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// Both go on at the same time, up to the schedule's limit.
    Allow,
    /// The new one waits. One at most does: a third is dropped, for it would wait ever longer.
    #[default]
    Queue,
    /// The new one is dropped, and recorded as such.
    Skip,
}

/// What becomes of a run that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// It waits until a run of the schedule is over.
    Queue,
    /// It is dropped; record it, so that nobody looks for it.
    Skip,
    /// It starts now.
    Start,
}

impl Overlap {
    /// What becomes of a run, given how many of its schedule are going and waiting, and how many
    /// may go at once. Under any policy but [`Allow`](Self::Allow) that is one.
    ///
    /// ```
    /// use stillpoint_schedule::policy::{Admission, Overlap};
    ///
    /// assert_eq!(Overlap::Queue.admit(0, 0, 4), Admission::Start);
    /// assert_eq!(Overlap::Queue.admit(1, 0, 4), Admission::Queue);
    /// assert_eq!(Overlap::Queue.admit(1, 1, 4), Admission::Skip);
    /// assert_eq!(Overlap::Allow.admit(3, 0, 4), Admission::Start);
    /// ```
    pub fn admit(self, going: u32, waiting: u32, limit: u32) -> Admission {
        let limit = if self == Self::Allow { limit } else { 1 };
        if going < limit && waiting == 0 {
            Admission::Start
        } else if self == Self::Skip || waiting > 0 {
            Admission::Skip
        } else {
            Admission::Queue
        }
    }
}
