use std::fmt;

use stillpoint_core::Error;

/// What came of trying a rule.
pub type Verdict = Result<Held, Breach>;

/// A rule that was not broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// It was tried, and kept.
    Kept,
    /// It was not tried, since the provider or the bed does not promise what it is about.
    NotPromised(&'static str),
}

/// How a rule was broken.
#[derive(Clone, Debug)]
pub struct Breach(String);

impl Breach {
    /// A breach, told in a sentence.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Breach {}

impl From<Error> for Breach {
    fn from(error: Error) -> Self {
        Self(format!("an error where none was due: {error}"))
    }
}

/// Breaks the rule unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Breach::new(format!($($why)+)));
        }
    };
}

pub(super) use ensure;
