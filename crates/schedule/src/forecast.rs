//! What a schedule, a retention policy and a rate of failures will lead to.
//!
//! ```
//! use stillpoint_schedule::{
//!     Cron, Schedule,
//!     forecast::{Scenario, forecast},
//!     retention::Keep,
//! };
//!
//! let forecast = forecast(&Scenario {
//!     policy: "nightly",
//!     keep: &Keep::new().daily(7),
//!     schedule: &Schedule::cron(Cron::parse("0 2 * * *")?),
//!     sources: &["web-1", "web-2"],
//!     inventory: &[],
//!     now: "2026-01-01T00:00:00Z".parse()?,
//!     days: 30,
//!     failure: 0.2,
//!     seed: 1,
//! })?;
//! assert_eq!(forecast.peak.count, 16); // seven of each, and the eighth before the first one goes
//! assert_eq!(forecast.days[29].kept, 14);
//! // The last five nights of web-1 fail, as one seed in a hundred has it.
//! assert_eq!(forecast.worst_recovery_point.unwrap().age.as_hours(), 142);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it assumes
//!
//! Every run takes one snapshot of each source, at the instant of the run. It fails with the given
//! probability, by itself for each source, and then leaves nothing; else it is verified at once.
//! Retention follows every run that took anything. Nobody pins, restores or takes one by hand. Runs
//! are neither missed nor late. The same seed gives the same answer, in every release.

mod component;
mod simulate;

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::Serialize;

pub use self::simulate::forecast;
use crate::{
    evaluate::SearchError,
    retention::{Keep, RetentionError, Snapshot},
    schedule::Schedule,
};

/// What to forecast.
#[derive(Clone, Copy, Debug)]
pub struct Scenario<'a> {
    /// The name of the policy, under which snapshots are taken.
    pub policy: &'a str,
    /// What the policy keeps. Days are those of its zone.
    pub keep: &'a Keep,
    /// When snapshots are taken.
    pub schedule: &'a Schedule,
    /// Of what they are taken.
    pub sources: &'a [&'a str],
    /// What there is today.
    pub inventory: &'a [Snapshot],
    /// The start.
    pub now: Timestamp,
    /// How many days ahead, the rest of today being the first.
    pub days: u32,
    /// How probable it is that taking a snapshot fails, 0 to 1.
    pub failure: f64,
    /// What the failures are drawn from.
    pub seed: u64,
}

/// What a scenario leads to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Every day, with what there is at its end.
    pub days: Vec<Day>,
    /// Every snapshot that there is or will be, and when it goes; by when they were taken.
    pub lives: Vec<Life>,
    /// The greatest age that the last verified snapshot of a source reaches; `None` if no source
    /// ever has one.
    pub worst_recovery_point: Option<RecoveryPoint>,
    /// The fewest verified snapshots that a source has after any run.
    pub fewest_good: Option<Count>,
    /// The most snapshots that there are at once, of all sources.
    pub peak: Peak,
}

/// A day, and what there is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day, in the policy's zone.
    pub date: Date,
    /// How many snapshots there are.
    pub kept: usize,
    /// How many of them are verified.
    pub good: usize,
    /// How many were taken that day.
    pub taken: usize,
    /// How many could not be taken that day.
    pub failed: usize,
    /// How many were deleted that day.
    pub deleted: usize,
}

/// A snapshot's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Its id; of one that will be taken, the key of its run and its source.
    pub id: String,
    /// What it is of.
    pub source: String,
    /// When it was or will be taken.
    pub taken_at: Timestamp,
    /// When it is deleted; `None` if it is still there at the end.
    pub gone_at: Option<Timestamp>,
}

/// How old the last verified snapshot of a source gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecoveryPoint {
    /// The source.
    pub source: String,
    /// When it is that old.
    pub at: Timestamp,
    /// How old it is.
    pub age: SignedDuration,
}

/// A number of snapshots of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The source.
    pub source: String,
    /// When there are so many.
    pub at: Timestamp,
    /// How many there are.
    pub count: usize,
}

/// The most snapshots at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Peak {
    /// When there are so many.
    pub at: Timestamp,
    /// How many there are.
    pub count: usize,
}

/// A scenario that cannot be forecast.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// The days lead out of time.
    #[error("{days} days from {now} lead out of time; ask for fewer")]
    EndOfTime {
        /// The start.
        now: Timestamp,
        /// How many days were asked for.
        days: u32,
    },
    /// A probability that is none.
    #[error("a probability of {failure} is not between 0 and 1")]
    Probability {
        /// The probability.
        failure: f64,
    },
    /// The policy or the inventory.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The schedule.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// More snapshots would be taken than is sensible to look at.
    #[error("over {most} snapshots would be taken; ask for fewer days or sources")]
    TooMany {
        /// The most.
        most: usize,
    },
}

impl Forecast {
    /// What there is at the end of a day: of the forecast's days, by their place.
    pub fn kept_at(&self, at: Timestamp) -> impl Iterator<Item = &Life> {
        self.lives
            .iter()
            .filter(move |life| life.taken_at <= at && life.gone_at.is_none_or(|gone| gone > at))
    }
}
