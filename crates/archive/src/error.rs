use std::io;
use std::path::PathBuf;

use crate::Refusal;

/// What an operation on an archive returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation on an archive failed. The text says what, where and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`Cancel`](crate::Cancel) was asked; nothing was left behind.
    #[error("cancelled; nothing was left behind")]
    Cancelled,
    /// The target is already there; nothing is ever overwritten.
    #[error("{0}: already there and never overwritten; remove it or choose another name")]
    Exists(PathBuf),
    /// A file or stream could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being read or written.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// None of the keys given opens the archive's sealed entries.
    #[error("none of the keys given opens this archive; it is sealed for {recipients}")]
    KeyMismatch {
        /// The key ids in the archive, separated by commas.
        recipients: String,
    },
    /// The archive has sealed entries and no key was given.
    #[error("{sealed} entries are sealed and no key was given; it is sealed for {recipients}")]
    KeyMissing {
        /// How many entries are sealed.
        sealed: usize,
        /// The key ids in the archive, separated by commas.
        recipients: String,
    },
    /// The archive holds no entry of that name.
    #[error("the archive holds no entry `{0}`")]
    NoSuchEntry(String),
    /// The archive breaks the format or would be unsafe to use.
    #[error("refused{}: {reason}", place(entry.as_deref(), *offset))]
    Refused {
        /// The entry in question, where one is.
        entry: Option<String>,
        /// The byte of the archive in question, where known.
        offset: Option<u64>,
        /// What is wrong.
        reason: Refusal,
    },
    /// What was asked cannot be done with this archive; nothing was touched.
    #[error("{0}")]
    Unsupported(String),
}

fn place(entry: Option<&str>, offset: Option<u64>) -> String {
    match (entry, offset) {
        (Some(entry), Some(offset)) => format!(" at byte {offset}, entry {entry:?}"),
        (Some(entry), None) => format!(", entry {entry:?}"),
        (None, Some(offset)) => format!(" at byte {offset}"),
        (None, None) => String::new(),
    }
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| match Error::from_io(source) {
            Ok(ours) => ours,
            Err(source) => Error::Io { what, source },
        }
    }

    /// What went wrong while this was done with the bytes of an entry. An error of the archive's
    /// that travelled inside one of the system's is that again.
    pub fn of_io(what: impl Into<String>, source: io::Error) -> Self {
        Self::io(what)(source)
    }

    /// An error of ours that travelled inside an `io::Error`, taken out again.
    pub(crate) fn from_io(error: io::Error) -> Result<Error, io::Error> {
        if error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
        {
            let inner = error.into_inner().expect("checked above");
            return Ok(*inner.downcast::<Error>().expect("checked above"));
        }
        Err(error)
    }

    /// The same refusal with the entry it is about, where it did not say.
    pub(crate) fn about(self, name: &str) -> Error {
        match self {
            Error::Refused {
                entry: None,
                offset,
                reason,
            } => Error::Refused {
                entry: Some(name.to_owned()),
                offset,
                reason,
            },
            error => error,
        }
    }

    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Error::Io { what, source } if what.is_empty() => source,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }

    /// Why the archive was refused, if that is what happened.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// The entry the error is about, where one is.
    pub fn entry(&self) -> Option<&str> {
        match self {
            Error::Refused { entry, .. } => entry.as_deref(),
            Error::NoSuchEntry(entry) => Some(entry),
            _ => None,
        }
    }
}

impl Refusal {
    pub(crate) fn bare(self) -> Error {
        Error::Refused {
            entry: None,
            offset: None,
            reason: self,
        }
    }

    pub(crate) fn at(self, offset: u64) -> Error {
        Error::Refused {
            entry: None,
            offset: Some(offset),
            reason: self,
        }
    }

    pub(crate) fn of(self, entry: impl Into<String>) -> Error {
        Error::Refused {
            entry: Some(entry.into()),
            offset: None,
            reason: self,
        }
    }

    pub(crate) fn of_at(self, entry: impl Into<String>, offset: u64) -> Error {
        Error::Refused {
            entry: Some(entry.into()),
            offset: Some(offset),
            reason: self,
        }
    }
}
