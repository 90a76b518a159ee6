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

    /// The median of what this took for each second of the other *in the same round*, so that a
    /// machine that is busy in one round and idle in the next is busy for both.
    ///
    /// # Panics
    ///
    /// Where they have not as many rounds, or none.
    pub fn median_ratio(&self, other: &Self) -> f64 {
        assert_eq!(self.0.len(), other.0.len(), "rounds are run in turns");
        let mut ratios: Vec<_> = self
            .0
            .iter()
            .zip(&other.0)
            .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

impl fmt::Display for Laps {
    /// The median, in the unit that suits it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.median().as_secs_f64();
        match seconds {
            1.0.. => write!(f, "{seconds:.2} s"),
            1e-3.. => write!(f, "{:.1} ms", seconds * 1e3),
            _ => write!(f, "{:.1} µs", seconds * 1e6),
        }
    }
}
