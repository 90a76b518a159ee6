use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A point in the history of a state.
///
/// Every commit that writes has a greater one than all commits before it. Two revisions of one
/// state compare; nothing follows from the distance between them.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The revision with this number, as an implementation of [`State`](crate::State) counts.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The next number.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is stored under a key.
#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; what it means is its writer's affair.
    pub value: Bytes,
    /// The revision of the commit that wrote it. A key that was deleted and written again has a
    /// greater one than before, so that equal versions mean equal values.
    pub version: Revision,
}

impl fmt::Debug for Entry {
    /// Without the value, which is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .field("version", &self.version)
            .finish()
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    /// The version of everything the batch wrote. Of a batch without writes: a revision at which
    /// all its guards held.
    pub revision: Revision,
}
