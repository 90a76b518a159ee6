use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a piece of work is, in [`Unit`]s. It never goes back, and ends at exactly its total.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    done: u64,
    total: u64,
    unit: Unit,
}

/// What a [`Progress`] counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Bytes moved or read.
    Bytes,
    /// Steps of a plan, where there are no bytes to count.
    Steps,
}

impl Progress {
    /// Nothing done of `total` yet.
    pub const fn new(unit: Unit, total: u64) -> Self {
        Self {
            done: 0,
            total,
            unit,
        }
    }

    /// Moves to `done`. A smaller value than before is ignored, a larger one than the total is
    /// the total.
    pub fn advance_to(&mut self, done: u64) {
        self.done = self.done.max(done.min(self.total));
    }

    /// Adds to what is done, as [`advance_to`](Self::advance_to).
    pub fn advance_by(&mut self, more: u64) {
        self.advance_to(self.done.saturating_add(more));
    }

    /// Moves to the total.
    pub fn finish(&mut self) {
        self.done = self.total;
    }

    /// What is done.
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// What there is to do.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// What is counted.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The share done, from 0 to 1. Work with nothing to do is done.
    pub fn fraction(&self) -> f64 {
        if self.total == 0 {
            return 1.0;
        }
        self.done as f64 / self.total as f64
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Bytes => "bytes",
            Unit::Steps => "steps",
        };
        write!(f, "{}/{} {unit}", self.done, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_never_goes_back_nor_past_its_total(total: u64, moves: Vec<u64>) {
            let mut progress = Progress::new(Unit::Bytes, total);
            let mut last = 0;
            for to in moves {
                progress.advance_to(to);
                prop_assert!(progress.done() >= last && progress.done() <= total);
                last = progress.done();
            }
            progress.finish();
            prop_assert_eq!(progress.done(), total);
            prop_assert_eq!(progress.fraction(), 1.0);
        }
    }
}
