use std::error::Error as _;
use std::fmt;

use stillpoint_core::{Error, ErrorKind};

use crate::batch::Guard;
use crate::entry::Revision;

/// Which guards of a batch failed: the source of the `Conflict` error of a commit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    refusals: Vec<Refusal>,
}

/// A guard that failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Refusal {
    /// The key it guards.
    pub key: String,
    /// What was demanded.
    pub demanded: Guard,
    /// The version that was found; none where the key is absent.
    pub found: Option<Revision>,
}

impl Conflict {
    /// The guards that failed, if this is the error of a commit that was refused for them.
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// All guards that failed, by key.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Whether a guard of this key failed.
    pub fn is_at(&self, key: &str) -> bool {
        self.refusals.iter().any(|refusal| refusal.key == key)
    }

    /// The error of a commit; none where nothing was refused. For implementations of
    /// [`State`](crate::State).
    pub fn check(refusals: Vec<Refusal>) -> Result<(), Error> {
        let Some(first) = refusals.first() else {
            return Ok(());
        };
        let others = match refusals.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(Error::new(
            ErrorKind::Conflict,
            format!("the batch was refused at `{}`{others}", first.key),
        )
        .advise("Read again what it was built from, and build it anew")
        .because(Self { refusals }))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.refusals.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Conflict {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was to be {} and is ", self.key, self.demanded)?;
        match self.found {
            Some(version) => write!(f, "at version {version}"),
            None => f.write_str("absent"),
        }
    }
}
