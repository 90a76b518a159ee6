use std::env;
use std::ops::Range;

/// Runs just this seed.
pub(crate) const ONE: &str = "STILLPOINT_SEED";
/// Runs so many seeds instead of as many as the test says.
const MANY: &str = "STILLPOINT_SEEDS";

/// Which worlds to try.
///
/// A number is so many, from 0 on. The environment has the last word: `STILLPOINT_SEED=17` runs
/// only that one, `STILLPOINT_SEEDS=1000` so many of any test.
///
/// ```
/// use stillpoint_sim::Seeds;
///
/// assert_eq!(Seeds::from(3), Seeds::from(0..3));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seeds(Range<u64>);

impl Seeds {
    /// With what the environment says.
    pub(crate) fn chosen(self) -> Range<u64> {
        if let Some(seed) = number(ONE) {
            return seed..seed.saturating_add(1);
        }
        match number(MANY) {
            Some(many) => self.0.start..self.0.start.saturating_add(many),
            None => self.0,
        }
    }
}

impl From<Range<u64>> for Seeds {
    fn from(range: Range<u64>) -> Self {
        Self(range)
    }
}

impl From<u64> for Seeds {
    fn from(many: u64) -> Self {
        Self(0..many)
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is `{text}`; set it to a whole number"),
    }
}
