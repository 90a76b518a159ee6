//! One run of a schedule, why it is where it is, and the key by which it is known.

use std::fmt;

use jiff::{Timestamp, civil::DateTime};
use serde::{Deserialize, Serialize};

use crate::zone::Zone;

/// One run: the time on the wall that asked for it, and the instant at which it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The matching time on the wall, in the schedule's zone. Where several times in a gap became
    /// one run, the first of them.
    pub wall: DateTime,
    /// When the run is due.
    pub at: Timestamp,
    /// Why it is due at that instant.
    pub reason: Reason,
}

/// Why a run is due at its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Its time on the wall comes twice, the clock was put back; this is the first pass.
    FoldFirst,
    /// Its time on the wall comes twice, the clock was put back; this is the second pass.
    FoldSecond,
    /// At its own time, the first instant after a gap; it also stands for times inside the gap.
    GapCoalesced,
    /// Its time on the wall does not exist; moved to the first instant after the gap.
    GapShifted,
    /// At its own time, which comes once.
    Normal,
}

impl Run {
    /// The key of this run of that schedule. Whoever computes it, on whatever machine, gets the
    /// same one: record it before the run begins, and no run is done twice.
    ///
    /// ```
    /// use stillpoint_schedule::Cron;
    ///
    /// let cron = Cron::parse("30 2 * * * Europe/Berlin")?;
    /// let run = cron.next_after("2025-03-29T12:00:00Z".parse()?)?;
    /// assert_eq!(run.at.to_string(), "2025-03-30T01:00:00Z"); // 02:30 was in the gap
    /// assert_eq!(run.key("nightly").to_string(), "nightly@2025-03-30T02:30:00");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self, schedule: &str) -> RunKey {
        RunKey {
            schedule: schedule.to_owned(),
            wall: self.wall,
            second_pass: self.reason == Reason::FoldSecond,
        }
    }
}

/// A run that was worked out under other rules of its zone: the instant that its time on the wall
/// had is not the one it has now. Its [key](Run::key) is still good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{zone} has other rules now: {wall} was due at {recorded} and is now {}; plan it anew", now.map_or("never due".to_owned(), |now| format!("due at {now}")))]
pub struct HistoryChanged {
    /// The zone.
    pub zone: Zone,
    /// The run's time on the wall.
    pub wall: DateTime,
    /// When it was due.
    pub recorded: Timestamp,
    /// When it is due now, if at all.
    pub now: Option<Timestamp>,
}

/// What identifies a run: its schedule and its time on the wall, and the pass where both passes of
/// a repeated hour run. A change of the zone's rules moves the instant, not the key.
///
/// As text: `nightly@2025-10-26T02:30:00`, with `/2` after it for a second pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// The schedule's name.
    pub schedule: String,
    /// The time on the wall, in the schedule's zone.
    pub wall: DateTime,
    /// Whether it is the second pass of a time that comes twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub second_pass: bool,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.schedule, self.wall)?;
        if self.second_pass {
            f.write_str("/2")
        } else {
            Ok(())
        }
    }
}
