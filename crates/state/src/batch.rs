use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::entry::Revision;
use crate::key;

/// Most keys that one batch names, whether it writes or only guards them.
pub const MAX_BATCH_KEYS: usize = 64;

/// Most bytes of one batch: all its keys and values together.
pub const MAX_BATCH_BYTES: usize = 1 << 20;

/// Writes and guards that are committed whole or not at all.
///
/// Several parts of a program add to one batch, each without knowing the others: a journal its
/// record, a lease its guard, the catalogue its row. What cannot go together (two writes of one
/// key, two different guards of one key) and what is over a limit makes the whole batch
/// invalid: [`check`](Self::check) says so, and every commit refuses it.
///
/// ```
/// use stillpoint_state::{Batch, Guard, Revision};
///
/// let mut batch = Batch::new();
/// batch
///     .put("job/1", Guard::Absent, "{}")
///     .delete("request/1", Guard::At(Revision::new(7)))
///     .require("lease/engine", Guard::At(Revision::new(3)));
/// assert_eq!(batch.len(), 3);
/// assert!(batch.check().is_ok());
///
/// batch.put("job/1", Guard::Any, "twice");
/// assert!(batch.check().is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operations: BTreeMap<String, Operation>,
    bytes: usize,
    fault: Option<Error>,
}

/// What must hold of a key for a batch to be committed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Guard {
    /// There is no such key.
    Absent,
    /// Nothing: the write is made in any case.
    #[default]
    Any,
    /// The key is there, at exactly this version.
    At(Revision),
}

/// What a batch does with one key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Operation {
    /// What must hold before.
    pub guard: Guard,
    /// What is written, if anything.
    pub write: Option<Write>,
}

/// A change of one key.
#[derive(Clone, Eq, PartialEq)]
pub enum Write {
    /// The key is removed; that it was not there is no error.
    Delete,
    /// The key has this value.
    Put(Bytes),
}

impl Batch {
    /// A batch that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a value.
    pub fn put(
        &mut self,
        key: impl Into<String>,
        guard: Guard,
        value: impl Into<Bytes>,
    ) -> &mut Self {
        self.add(key.into(), guard, Some(Write::Put(value.into())))
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: impl Into<String>, guard: Guard) -> &mut Self {
        self.add(key.into(), guard, Some(Write::Delete))
    }

    /// Demands something of a key without writing it.
    ///
    /// Demanding the same twice, or of a key that the batch also writes, is one demand.
    pub fn require(&mut self, key: impl Into<String>, guard: Guard) -> &mut Self {
        self.add(key.into(), guard, None)
    }

    /// How many keys it names.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it could be committed, as far as the batch alone can tell.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the first thing that was wrong.
    pub fn check(&self) -> Result<()> {
        match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// What it does, by key. This is how an implementation of [`State`](crate::State) reads a
    /// batch: there is no way past the limits.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn into_operations(self) -> Result<BTreeMap<String, Operation>> {
        self.check()?;
        Ok(self.operations)
    }

    fn add(&mut self, key: String, guard: Guard, write: Option<Write>) -> &mut Self {
        if self.fault.is_none()
            && let Err(fault) = self.try_add(key, guard, write)
        {
            self.fault = Some(fault);
        }
        self
    }

    fn try_add(&mut self, key: String, guard: Guard, write: Option<Write>) -> Result<()> {
        key::check(&key)?;
        let known = self.operations.get(&key);
        let mut bytes = self.bytes + write.as_ref().map_or(0, Write::bytes);
        if known.is_none() {
            bytes += key.len();
            if self.operations.len() == MAX_BATCH_KEYS {
                return Err(too_large(&key, format!("names over {MAX_BATCH_KEYS} keys")));
            }
        }
        if bytes > MAX_BATCH_BYTES {
            return Err(too_large(
                &key,
                format!("has {bytes} bytes, and {MAX_BATCH_BYTES} is the limit"),
            ));
        }
        let merged = known
            .cloned()
            .unwrap_or_default()
            .merge(Operation { guard, write })
            .map_err(|problem| {
                Error::new(
                    ErrorKind::Invalid,
                    format!("the batch {problem} of `{key}`"),
                )
                .advise("Use a batch for each")
            })?;
        self.operations.insert(key, merged);
        self.bytes = bytes;
        Ok(())
    }
}

impl Operation {
    fn merge(self, other: Self) -> Result<Self, &'static str> {
        let guard = match (self.guard, other.guard) {
            (Guard::Any, guard) | (guard, Guard::Any) => guard,
            (one, two) if one == two => one,
            _ => return Err("has two different guards"),
        };
        let write = match (self.write, other.write) {
            (None, write) | (write, None) => write,
            _ => return Err("has two writes"),
        };
        Ok(Self { guard, write })
    }
}

impl Guard {
    /// Whether it holds for a key that is at this version, or absent.
    pub fn holds(self, found: Option<Revision>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Any => true,
            Self::At(version) => found == Some(version),
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Any => f.write_str("anything"),
            Self::At(version) => write!(f, "at version {version}"),
        }
    }
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Delete => 0,
            Self::Put(value) => value.len(),
        }
    }
}

impl fmt::Debug for Write {
    /// Without the value, which is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete => f.write_str("Delete"),
            Self::Put(value) => write!(f, "Put({} bytes)", value.len()),
        }
    }
}

fn too_large(key: &str, problem: String) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!("the batch {problem}, with `{key}`"),
    )
    .advise("Split it into batches that may be committed apart")
}
