//! Runs that fall on the same instant, spread over a while.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    hash::{fraction, hash},
    run::RunKey,
};

/// How long a run is put off, so that a thousand of them do not begin in the same second.
///
/// The delay moves the start, not the run: its key and its place in the order stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all.
    #[default]
    None,
    /// By a delay that is the same at every run of a resource, and another for each resource:
    /// the distance between two of its snapshots stays what the schedule says.
    PerResource {
        /// The greatest delay, which itself is never reached.
        at_most: SignedDuration,
    },
    /// By another delay at each run; the same seed gives the same ones again.
    Random {
        /// The greatest delay, which itself is never reached.
        at_most: SignedDuration,
        /// What the delays are drawn from.
        seed: u64,
    },
}

impl Jitter {
    /// How long that run is put off for that resource: 0 or more whole milliseconds.
    ///
    /// ```
    /// use jiff::SignedDuration;
    /// use stillpoint_schedule::{Cron, policy::Jitter};
    ///
    /// let jitter = Jitter::PerResource { at_most: SignedDuration::from_mins(10) };
    /// let run = Cron::parse("0 2 * * *")?.next_after("2026-01-01T00:00:00Z".parse()?)?;
    /// let delay = jitter.delay(&run.key("nightly"), "web-1");
    /// assert_eq!(delay, SignedDuration::from_millis(273_103));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delay(&self, key: &RunKey, resource: &str) -> SignedDuration {
        let (at_most, hash) = match self {
            Self::None => return SignedDuration::ZERO,
            Self::PerResource { at_most } => (
                at_most,
                hash(0, &[key.schedule.as_bytes(), resource.as_bytes()]),
            ),
            Self::Random { at_most, seed } => (
                at_most,
                hash(*seed, &[key.to_string().as_bytes(), resource.as_bytes()]),
            ),
        };
        let milliseconds = i64::try_from(at_most.as_millis())
            .unwrap_or(i64::MAX)
            .max(0);
        SignedDuration::from_millis((milliseconds as f64 * fraction(hash)) as i64)
    }

    /// When that run starts for that resource; the run's own instant at the end of time.
    pub fn start(&self, at: Timestamp, key: &RunKey, resource: &str) -> Timestamp {
        at.checked_add(self.delay(key, resource)).unwrap_or(at)
    }
}
