//! Every change of every snapshot, beside the rows and written with them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stillpoint_core::{Error, ErrorKind, Result, Snapshot, SnapshotId};

use super::{Author, Catalogue, Row};
use crate::batch::{Batch, Guard, MAX_BATCH_KEYS};
use crate::codec;
use crate::entry::{Entry, Revision};
use crate::state::StateExt;

const PREFIX: &str = "audit/";

/// One change of one snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// The revision that made it: changes of one state are ordered by this.
    pub revision: Revision,
    /// When, by its author's clock.
    pub at: Timestamp,
    /// Whoever made it: the name that was given, or the id of a job.
    pub by: String,
    /// What it was.
    pub what: Changed,
}

/// What was changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Changed {
    /// It is in the catalogue now, as this.
    Added(Box<Snapshot>),
    /// These fields have these values now; `null`: none. The names are those of a snapshot in
    /// JSON.
    Fields(Map<String, Value>),
    /// It is not in the catalogue any more.
    Removed,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    at: Timestamp,
    by: String,
    #[serde(flatten)]
    what: Changed,
}

impl Catalogue {
    /// What was changed by later revisions than this, of one snapshot or of all, oldest first.
    ///
    /// # Errors
    ///
    /// `Corrupt` where one cannot be read. Those of the [`State`](crate::State).
    pub async fn changes(&self, of: Option<SnapshotId>, after: Revision) -> Result<Vec<Change>> {
        let prefix = of.map_or_else(|| PREFIX.to_owned(), prefix_of);
        let mut scan = self.state.scan_prefix(&prefix).await?;
        let mut changes = Vec::new();
        while let Some(entry) = scan.try_next().await? {
            if entry.version > after {
                changes.push(read(&entry)?);
            }
        }
        changes.sort_by_key(|change| change.revision);
        Ok(changes)
    }

    /// Returns when there may be changes by later revisions than this.
    ///
    /// # Errors
    ///
    /// Those of the [`State`](crate::State).
    pub async fn changed(&self, since: Revision) -> Result<()> {
        self.state.changed(PREFIX, since).await
    }

    /// Forgets the changes of snapshots that were removed before then, and tells of how many. Of
    /// those that are there nothing is ever forgotten.
    ///
    /// # Errors
    ///
    /// As [`changes`](Self::changes). What was forgotten until then is.
    pub async fn forget_removed(&self, before: Timestamp) -> Result<usize> {
        let changes = self.changes(None, Revision::ZERO).await?;
        let mut last = BTreeMap::new();
        for change in &changes {
            last.insert(change.snapshot, change);
        }
        let gone: BTreeSet<_> = last
            .into_values()
            .filter(|change| change.what == Changed::Removed && change.at < before)
            .map(|change| change.snapshot)
            .collect();
        for snapshot in &gone {
            let scan = self.state.scan_prefix(&prefix_of(*snapshot)).await?;
            let mut entries = scan.collect().await?;
            // The removal goes last: what is left of a history must not bring its snapshot back.
            entries.sort_by_key(|entry| entry.version);
            for some in entries.chunks(MAX_BATCH_KEYS) {
                let mut batch = Batch::new();
                for entry in some {
                    batch.delete(entry.key.as_str(), Guard::At(entry.version));
                }
                self.state.commit(batch).await?;
            }
        }
        Ok(gone.len())
    }
}

/// The catalogue that these changes make, oldest first, all of each of its snapshots.
///
/// # Errors
///
/// `Corrupt` where they are not all, or lead to no snapshot.
pub fn replay<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
) -> Result<BTreeMap<SnapshotId, Snapshot>> {
    let mut snapshots: BTreeMap<SnapshotId, Option<Value>> = BTreeMap::new();
    let mut torn = BTreeSet::new();
    for change in changes {
        let id = change.snapshot;
        match &change.what {
            Changed::Added(snapshot) => {
                torn.remove(&id);
                snapshots.insert(id, Some(to_value(snapshot)?));
            }
            Changed::Fields(fields) => match snapshots.get_mut(&id) {
                Some(Some(Value::Object(snapshot))) => {
                    for (name, value) in fields {
                        snapshot.insert(name.clone(), value.clone());
                    }
                }
                // Of one that was removed the beginning may be forgotten.
                _ => {
                    torn.insert(id);
                }
            },
            Changed::Removed => {
                torn.remove(&id);
                snapshots.insert(id, None);
            }
        }
    }
    if let Some(id) = torn.first() {
        let message = format!("the audit of snapshot {id} does not begin with its beginning");
        return Err(Error::new(ErrorKind::Corrupt, message).advise("Read all of its changes"));
    }
    let there = snapshots.into_iter().filter_map(|(id, it)| Some((id, it?)));
    there
        .map(|(id, snapshot)| {
            let snapshot = serde_json::from_value(snapshot).map_err(|source| {
                let message = format!("the audit of snapshot {id} leads to none");
                Error::new(ErrorKind::Corrupt, message)
                    .advise("Put back a copy of the state")
                    .because(source)
            })?;
            Ok((id, snapshot))
        })
        .collect()
}

pub(super) fn added(author: &Author, batch: &mut Batch, snapshot: &Snapshot) -> Result<()> {
    let what = Changed::Added(Box::new(snapshot.clone()));
    add(author, batch, snapshot.id, Revision::ZERO, what)
}

pub(super) fn changed(
    author: &Author,
    batch: &mut Batch,
    row: &Row,
    after: &Snapshot,
) -> Result<()> {
    let (before, after) = (fields(&row.snapshot)?, fields(after)?);
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut changed: Map<_, _> = gone.map(|name| (name.clone(), Value::Null)).collect();
    let other = after
        .into_iter()
        .filter(|(name, value)| before.get(name) != Some(value));
    changed.extend(other);
    add(
        author,
        batch,
        row.snapshot.id,
        row.version,
        Changed::Fields(changed),
    )
}

pub(super) fn removed(author: &Author, batch: &mut Batch, row: &Row) -> Result<()> {
    add(
        author,
        batch,
        row.snapshot.id,
        row.version,
        Changed::Removed,
    )
}

/// The key holds the version that the change replaces, so each version is replaced once; and the
/// instant, as an id that is imported again begins anew.
fn add(
    author: &Author,
    batch: &mut Batch,
    id: SnapshotId,
    replaced: Revision,
    what: Changed,
) -> Result<()> {
    let stored = Stored {
        at: author.at,
        by: author.who.clone(),
        what,
    };
    let (replaced, nanos) = (replaced.number(), author.at.as_nanosecond());
    let key = format!("{}{replaced:020}.{nanos:020}", prefix_of(id));
    batch.put(key, Guard::Any, codec::encode(&stored)?);
    Ok(())
}

fn read(entry: &Entry) -> Result<Change> {
    let stored: Stored = codec::decode(entry)?;
    let place = entry.key.strip_prefix(PREFIX);
    let id = place.and_then(|place| place.split_once('/')?.0.parse().ok());
    let snapshot = id.ok_or_else(|| {
        let message = format!("`{}` is no place in the audit", entry.key);
        Error::new(ErrorKind::Corrupt, message).advise("Put back a copy of the state")
    })?;
    Ok(Change {
        snapshot,
        revision: entry.version,
        at: stored.at,
        by: stored.by,
        what: stored.what,
    })
}

fn fields(snapshot: &Snapshot) -> Result<Map<String, Value>> {
    match to_value(snapshot)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(Error::new(ErrorKind::Internal, "a snapshot has no fields")),
    }
}

fn to_value(snapshot: &Snapshot) -> Result<Value> {
    serde_json::to_value(snapshot).map_err(|source| {
        Error::new(ErrorKind::Internal, "a value cannot be written as JSON").because(source)
    })
}

fn prefix_of(id: SnapshotId) -> String {
    format!("{PREFIX}{id}/")
}
