use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use stillpoint_core::Result;

use crate::batch::{Batch, Operation, Write};
use crate::changes::Changes;
use crate::conflict::{Conflict, Refusal};
use crate::entry::{Committed, Entry, Revision};
use crate::scan::Scan;
use crate::state::State;

/// A [`State`] that lives in memory and dies with its value: for tests, and for what need not
/// survive.
///
/// A scan copies its range when it begins (the entries' values are shared, not copied).
#[derive(Debug)]
pub struct Memory {
    stored: Mutex<Stored>,
    changes: Changes,
}

#[derive(Debug, Default)]
struct Stored {
    revision: Revision,
    entries: BTreeMap<String, (Revision, Bytes)>,
}

impl Memory {
    /// A state without entries.
    pub fn new() -> Self {
        Self {
            stored: Mutex::default(),
            changes: Changes::new(Revision::ZERO),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        // Nothing can panic between the first and the last write of a batch.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

#[async_trait]
impl State for Memory {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Ok(self
            .lock()
            .entries
            .get(key)
            .map(|stored| entry(key, stored)))
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        let stored = self.lock();
        let revision = stored.revision;
        if !to.is_empty() && from >= to {
            return Ok(Scan::new(revision, Box::pin(stream::empty())));
        }
        let end = match to {
            "" => Bound::Unbounded,
            to => Bound::Excluded(to),
        };
        let entries: Vec<_> = stored
            .entries
            .range::<str, _>((Bound::Included(from), end))
            .map(|(key, stored)| Ok(entry(key, stored)))
            .collect();
        Ok(Scan::new(revision, Box::pin(stream::iter(entries))))
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let operations = batch.into_operations()?;
        let mut stored = self.lock();
        stored.check(&operations)?;
        let keys = stored.apply(operations);
        let revision = stored.revision;
        // Still under the lock, so that changes are published in their order.
        if !keys.is_empty() {
            self.changes.publish(revision, keys);
        }
        Ok(Committed { revision })
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.changes.wait(prefix, since).await
    }
}

impl Stored {
    fn check(&self, operations: &BTreeMap<String, Operation>) -> Result<()> {
        let found = |key: &String| self.entries.get(key).map(|(version, _)| *version);
        let refusals = operations
            .iter()
            .filter(|(key, operation)| !operation.guard.holds(found(key)))
            .map(|(key, operation)| Refusal {
                key: key.clone(),
                demanded: operation.guard,
                found: found(key),
            });
        Conflict::check(refusals.collect())
    }

    /// Makes all writes, and returns the keys.
    fn apply(&mut self, operations: BTreeMap<String, Operation>) -> Vec<String> {
        let next = self.revision.next();
        let mut keys = Vec::new();
        for (key, operation) in operations {
            match operation.write {
                Some(Write::Delete) => self.entries.remove(&key),
                Some(Write::Put(value)) => self.entries.insert(key.clone(), (next, value)),
                None => continue,
            };
            keys.push(key);
        }
        if !keys.is_empty() {
            self.revision = next;
        }
        keys
    }
}

fn entry(key: &str, (version, value): &(Revision, Bytes)) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.clone(),
        version: *version,
    }
}
