//! The catalogue: every snapshot we know of.
//!
//! ```
//! use std::sync::Arc;
//! # use jiff::Timestamp;
//! # use stillpoint_core::{JobId, Snapshot, SnapshotId, SnapshotState};
//! use stillpoint_state::catalogue::{Catalogue, Query};
//! use stillpoint_state::{Batch, Memory, State};
//!
//! # fn taken() -> Snapshot {
//! #     let now = Timestamp::from_second(1_000).unwrap();
//! #     Snapshot {
//! #         id: SnapshotId::new(now, [0; 10]),
//! #         source: "prod/instance/web-1".parse().unwrap(),
//! #         name: "nightly".into(),
//! #         description: String::new(),
//! #         labels: Default::default(),
//! #         state: SnapshotState::Taken,
//! #         parts: vec![],
//! #         omitted: vec![],
//! #         consistency: Default::default(),
//! #         memory: Default::default(),
//! #         created_at: now,
//! #         taken_at: Some(now),
//! #         verified: None,
//! #         exports: vec![],
//! #         pins: Default::default(),
//! #         schedule: None,
//! #         expires_at: None,
//! #         job: JobId::new(now, [0; 10]),
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//! let catalogue = Catalogue::new(Arc::clone(&state));
//!
//! let snapshot = taken();
//! let mut batch = Batch::new();
//! catalogue.insert(&mut batch, &snapshot)?;
//! state.commit(batch).await?;
//!
//! catalogue.pin(snapshot.id, "before the audit").await?;
//! let page = catalogue
//!     .list(&Query { source: Some(snapshot.source), limit: Some(20), ..Query::default() })
//!     .await?;
//! assert_eq!(page.rows[0].snapshot.name, "nightly");
//! # Ok(())
//! # }
//! ```
//!
//! Rows are stored under `snapshot/<id>` as JSON; those that expire have a key
//! `expiry/<instant>/<id>` besides, so that who enforces it finds the next one at once. A list reads all of them, in one revision, and
//! keeps in memory only what it returns.

mod edit;
mod expiry;
mod list;
mod query;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result, Snapshot, SnapshotId, SnapshotState};

use crate::batch::{Batch, Guard};
use crate::codec;
use crate::entry::{Entry, Revision};
use crate::state::State;

pub use crate::catalogue::query::{Cursor, Name, Order, Page, Query, SortBy};

/// All rows are under here.
const PREFIX: &str = "snapshot/";

/// Reads and changes the rows of the catalogue.
#[derive(Clone, Debug)]
pub struct Catalogue {
    state: Arc<dyn State>,
}

/// A snapshot, and the version that a change of it is guarded by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Row {
    /// The snapshot, as of that version.
    pub snapshot: Snapshot,
    /// The revision that wrote it.
    pub version: Revision,
}

impl Catalogue {
    /// The catalogue kept in this state.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// The snapshot with this id.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none; `Corrupt` where its row cannot be read. Those of the
    /// [`State`].
    pub async fn get(&self, id: SnapshotId) -> Result<Row> {
        match self.state.get(&key(id)).await? {
            Some(entry) => row(&entry),
            None => Err(
                Error::new(ErrorKind::NotFound, format!("there is no snapshot {id}"))
                    .advise("List the snapshots to see which there are"),
            ),
        }
    }

    /// Adds a new snapshot to the batch, which is refused if its id is taken.
    ///
    /// # Errors
    ///
    /// `Internal` where it cannot be written as JSON.
    pub fn insert(&self, batch: &mut Batch, snapshot: &Snapshot) -> Result<()> {
        batch.put(key(snapshot.id), Guard::Absent, codec::encode(snapshot)?);
        expiry::index(batch, snapshot);
        Ok(())
    }

    /// Adds to the batch that `row.snapshot` is written in place of `row.version`. The batch is
    /// refused if the row was changed since it was read.
    ///
    /// # Errors
    ///
    /// `Internal` where it cannot be written as JSON.
    pub fn update(&self, batch: &mut Batch, row: &Row) -> Result<()> {
        batch.put(
            key(row.snapshot.id),
            Guard::At(row.version),
            codec::encode(&row.snapshot)?,
        );
        Ok(())
    }

    /// Adds to the batch that the snapshot is being deleted: from then on nothing pins it.
    ///
    /// The batch is refused if the row, and so its pins, was changed since it was read. Claim the
    /// snapshot in the same batch, so that no job depends on it.
    ///
    /// # Errors
    ///
    /// `Precondition` naming the pins, where there are any; `Internal` where it cannot be written
    /// as JSON.
    pub fn begin_delete(&self, batch: &mut Batch, row: &Row) -> Result<()> {
        let snapshot = &row.snapshot;
        if !snapshot.pins.is_empty() {
            let refused = Error::new(
                ErrorKind::Precondition,
                format!("snapshot {} is pinned", snapshot.id),
            )
            .advise("Unpin it first");
            return Err(snapshot.pins.iter().fold(refused, Error::reason));
        }
        let mut row = row.clone();
        row.snapshot.state = SnapshotState::Deleting;
        self.update(batch, &row)
    }

    /// Adds to the batch that the row goes. The batch is refused if the row was changed since it
    /// was read.
    pub fn remove(&self, batch: &mut Batch, row: &Row) {
        batch.delete(key(row.snapshot.id), Guard::At(row.version));
        expiry::unindex(batch, &row.snapshot);
    }

    /// Adds to the batch that the row is still as it was read.
    pub fn require(&self, batch: &mut Batch, row: &Row) {
        batch.require(key(row.snapshot.id), Guard::At(row.version));
    }
}

fn row(entry: &Entry) -> Result<Row> {
    Ok(Row {
        snapshot: codec::decode(entry)?,
        version: entry.version,
    })
}

fn key(id: SnapshotId) -> String {
    format!("{PREFIX}{id}")
}
