use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result};

/// Names one intended effect, for ever: all attempts at it carry the same key.
///
/// It is of `a-z 0-9 . _ -` and at most [`MAX`](Self::MAX) bytes, so that it can stand in a
/// label, an object's name or a file's name on every system we know.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct OperationKey(String);

impl OperationKey {
    /// Longest key in bytes: with a prefix and a suffix it still fits a Kubernetes name.
    pub const MAX: usize = 120;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperationKey {
    type Err = Error;

    /// Reads a key; [`ErrorKind::Invalid`] where it has other characters, is empty or too long,
    /// or starts with anything but a letter or a digit.
    fn from_str(text: &str) -> Result<Self> {
        let well = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if starts_well && text.len() <= Self::MAX && text.bytes().all(well) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(64).collect();
        Err(Error::new(
            ErrorKind::Invalid,
            format!("`{}` is not an operation key", shown.escape_debug()),
        )
        .advise("Use a-z, 0-9, `.`, `_` and `-`, at most 120, starting with a letter or a digit"))
    }
}

impl TryFrom<String> for OperationKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<OperationKey> for String {
    fn from(key: OperationKey) -> Self {
        key.0
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a provider gave back for a submitted operation, to ask after it. Opaque to all others.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Ticket(String);

impl Ticket {
    /// A ticket of this text, which must not hold a secret: it is stored in the journal.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
