//! What happens to a run when the clock on the wall is put forward or back.

use serde::{Deserialize, Serialize};

/// What to do with wall-clock times that do not exist, or exist twice, on the day the clock changes.
///
/// The default, [`ByHour`](Self::ByHour), never skips a run and never does one twice:
///
/// * an expression whose hour is unrestricted (`*/20 * * * *`) is about *intervals*: it runs at
///   every real instant that matches, through the repeated hour too;
/// * any other is about *a time of the day*: every match on the wall runs exactly once. In a gap it
///   moves to the first instant after it, where several of them become one run; in an overlap the
///   first pass counts.
///
/// That is how Vixie and ISC cron treat jobs without and with a star, except that there a star in
/// the minutes (`*/20 2 * * *`) makes an interval of a fixed hour, and loses its runs in a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DaylightSaving {
    /// [`Skip`](Gap::Skip) and [`Both`](Fold::Both) for an unrestricted hour,
    /// [`Shift`](Gap::Shift) and [`First`](Fold::First) for any other.
    #[default]
    ByHour,
    /// The same for every expression.
    Fixed {
        /// The clock is put forward: what about the times that are left out?
        gap: Gap,
        /// The clock is put back: which pass of the times that come twice?
        fold: Fold,
    },
}

/// The clock is put forward: the wall-clock times in between do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// They run once, all together, at the first instant after the gap.
    Shift,
    /// They do not run.
    Skip,
}

/// The clock is put back, an overlap: the wall-clock times in between come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fold {
    /// Both passes run.
    Both,
    /// Only the first pass runs.
    First,
    /// Only the second pass runs.
    Second,
}

impl DaylightSaving {
    pub(crate) fn resolve(self, hour_is_unrestricted: bool) -> (Gap, Fold) {
        match self {
            Self::ByHour if hour_is_unrestricted => (Gap::Skip, Fold::Both),
            Self::ByHour => (Gap::Shift, Fold::First),
            Self::Fixed { gap, fold } => (gap, fold),
        }
    }
}
