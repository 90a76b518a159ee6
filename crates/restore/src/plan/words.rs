//! The small values that plans are made of.

use std::{borrow::Borrow, fmt};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// The stable short name of a step, a bracket or a group, such as `snapshot/root`.
///
/// 1 to 100 characters of `A-Z a-z 0-9 . _ / -`, beginning and ending with a letter or digit. The plan's builder
/// checks that, so that it can tell all that is wrong at once.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_valid(&self) -> bool {
        let text = self.0.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/-".contains(byte);
        let solid = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        text.len() <= 100 && solid(text.first()) && solid(text.last()) && text.iter().all(plain)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

/// Where in the course of a job a step belongs, in the order in which they come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing has begun.
    Requested,
    /// Bytes are brought here.
    Fetching,
    /// What was brought is checked.
    Verifying,
    /// The plan is checked against the target as it is now.
    Planning,
    /// Others are kept out.
    Locking,
    /// A safety snapshot of the target is taken.
    Safeguarding,
    /// The new is prepared beside the old.
    Staging,
    /// The work itself.
    Applying,
    /// The new takes the place of the old: the pivot.
    CuttingOver,
    /// Clients find the new.
    Reconnecting,
    /// The result is checked.
    Validating,
    /// Others are let in again.
    Unlocking,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Requested => "requested",
            Self::Fetching => "fetching",
            Self::Verifying => "verifying",
            Self::Planning => "planning",
            Self::Locking => "locking",
            Self::Safeguarding => "safeguarding",
            Self::Staging => "staging",
            Self::Applying => "applying",
            Self::CuttingOver => "cutting over",
            Self::Reconnecting => "reconnecting",
            Self::Validating => "validating",
            Self::Unlocking => "unlocking",
        })
    }
}

/// How often a call is tried, and how long to wait in between.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Retry {
    /// How many attempts in all, at least 1.
    pub attempts: u32,
    /// The wait after the first failure.
    pub backoff: SignedDuration,
    /// What each further wait is multiplied by, at least 1.
    pub factor: u32,
    /// The longest wait.
    pub cap: SignedDuration,
}

impl Retry {
    /// One attempt, no retry.
    pub const ONCE: Self = Self {
        attempts: 1,
        ..Self::DEFAULT
    };

    const DEFAULT: Self = Self {
        attempts: 3,
        backoff: SignedDuration::from_secs(1),
        factor: 2,
        cap: SignedDuration::from_secs(60),
    };

    /// This many attempts, with the default waits: 1 s, doubling, at most 60 s.
    pub const fn times(attempts: u32) -> Self {
        Self {
            attempts,
            ..Self::DEFAULT
        }
    }

    /// How long to wait after this many failures (from 1).
    pub fn wait(&self, failures: u32) -> SignedDuration {
        // Beyond 64 doublings every factor above 1 has long met the cap.
        let steps = if self.factor > 1 {
            failures.saturating_sub(1).min(64)
        } else {
            0
        };
        let grow = |wait: SignedDuration, _| match wait
            .checked_mul(i32::try_from(self.factor).unwrap_or(i32::MAX))
        {
            Some(longer) => longer.min(self.cap),
            None => self.cap,
        };
        (0..steps).fold(self.backoff.min(self.cap), grow)
    }
}

impl Default for Retry {
    /// Three attempts: 1 s, then 2 s in between.
    fn default() -> Self {
        Self::DEFAULT
    }
}
