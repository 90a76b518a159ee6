//! What is odd about a schedule, and does not stand in its way.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stillpoint_core::ErrorReport;
use stillpoint_schedule::Run;
use stillpoint_schedule::schedule::Pause;

/// Something about a schedule that its owner may not have meant.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// Its next run is more than a year away.
    FiresLate {
        /// That run.
        next: Run,
    },
    /// It has no retention: what it takes piles up until somebody deletes it.
    KeepsEverything,
    /// It has no run to come: its time is over, or it ran once.
    NeverFires,
    /// Its retention will delete nothing: only verified snapshots count, and those taken here
    /// are not verified.
    NeverVerified {
        /// The provider whose bytes cannot be read; none where the schedule does not ask for it.
        provider: Option<String>,
    },
    /// A run will still be going when the next one is due, as long as runs took so far.
    Overlaps {
        /// When that next one is due.
        at: Timestamp,
        /// How long both will be going.
        by: SignedDuration,
    },
    /// It is paused, and stays so until it is resumed or the pause is over.
    Paused(Pause),
    /// Nothing is selected just now.
    SelectsNothing,
    /// Its alarm will ring between two runs that are both on time.
    StaleBetweenRuns {
        /// The longest time between two runs to come.
        between: SignedDuration,
        /// What it counts as stale.
        stale_after: SignedDuration,
    },
    /// A provider could not be asked what it has.
    Unreachable(ErrorReport),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FiresLate { next } => write!(f, "the next run is as late as {}", next.at),
            Self::KeepsEverything => f.write_str(
                "it has no retention: snapshots pile up; give it a policy such as \
                 Keep::new().daily(7)",
            ),
            Self::NeverFires => f.write_str("it has no run to come"),
            Self::NeverVerified { provider: None } => f.write_str(
                "its snapshots are not verified, so its retention deletes nothing; let it verify",
            ),
            Self::NeverVerified {
                provider: Some(provider),
            } => write!(
                f,
                "{provider} lets nobody read snapshots back, so its retention deletes nothing there"
            ),
            Self::Overlaps { at, by } => write!(
                f,
                "the run of {at} will find the one before still going, for {by:#}"
            ),
            Self::Paused(Pause::Until(until)) => write!(f, "it is paused until {until}"),
            Self::Paused(_) => f.write_str("it is paused until somebody resumes it"),
            Self::SelectsNothing => f.write_str("it selects nothing just now"),
            Self::StaleBetweenRuns {
                between,
                stale_after,
            } => write!(
                f,
                "{between:#} lie between two runs, and after {stale_after:#} it counts as stale"
            ),
            Self::Unreachable(report) => write!(f, "it could not be asked: {}", report.message),
        }
    }
}
