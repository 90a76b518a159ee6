use std::fmt;
use std::time::{Duration, Instant};

/// The times that one contender took, a round each.
#[derive(Clone, Debug, Default)]
pub struct Laps(Vec<Duration>);

impl Laps {
    /// Adds the time of a round.
    pub fn push(&mut self, lap: Duration) {
        self.0.push(lap);
    }

    /// Runs a round and adds its time.
    pub fn time<T>(&mut self, round: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let output = round();
        self.push(started.elapsed());
        output
    }

    /// The time in the middle; of an even number the later of the two.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// The quickest and the slowest.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn range(&self) -> (Duration, Duration) {
        let quickest = self.0.iter().min().expect("a round was run");
        let slowest = self.0.iter().max().expect("a round was run");
        (*quickest, *slowest)
    }

    /// This median over the other's: what a reader of the table can check.
    ///
    /// # Panics
    ///
    /// Where one of them has no round.
    pub fn ratio(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }
}

impl fmt::Display for Laps {
    /// The median.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?}", self.median())
    }
}
