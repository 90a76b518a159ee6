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
//! let (snapshot, now) = (taken(), Timestamp::from_second(2_000).unwrap());
//! let mut batch = Batch::new();
//! catalogue.by("job 1", now).insert(&mut batch, &snapshot)?;
//! state.commit(batch).await?;
//!
//! catalogue.by("anna", now).pin(snapshot.id, "before the audit").await?;
//! let page = catalogue
//!     .list(&Query { source: Some(snapshot.source), limit: Some(20), ..Query::default() })
//!     .await?;
//! assert_eq!(page.rows[0].snapshot.name, "nightly");
//! # Ok(())
//! # }
//! ```
//!
//! Rows are stored under `snapshot/<id>` as JSON; those that expire have a key
//! `expiry/<instant>/<id>` besides, so that who enforces it finds the next one at once. A list
//! reads all of them, in one revision, and keeps in memory only what it returns.
//!
//! # The audit
//!
//! Each change of a row has an entry under `audit/<id>/`, written in the same batch: who, when,
//! and which fields became what. [`Catalogue::changes`] reads them, [`Catalogue::changed`] waits
//! for the next, and [`replay`] makes of them what the catalogue is. They stay after their
//! snapshot is gone, until [`Catalogue::forget_removed`].
//!
//! ```
//! # use std::sync::Arc;
//! # use jiff::Timestamp;
//! # use stillpoint_state::catalogue::{Catalogue, replay};
//! # use stillpoint_state::{Memory, Revision};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! # let catalogue = Catalogue::new(Arc::new(Memory::new()));
//! for change in catalogue.changes(None, Revision::ZERO).await? {
//!     println!("{} {} {}: {:?}", change.at, change.by, change.snapshot, change.what);
//! }
//! assert!(replay(&catalogue.changes(None, Revision::ZERO).await?)?.is_empty());
//! # Ok(())
//! # }
//! ```

mod audit;
mod author;
mod edit;
mod expiry;
mod list;
mod query;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result, Snapshot, SnapshotId};

use crate::batch::{Batch, Guard};
use crate::codec;
use crate::entry::{Entry, Revision};
use crate::state::State;

pub use crate::catalogue::audit::{Change, Changed, replay};
pub use crate::catalogue::author::Author;
pub use crate::catalogue::query::{Cursor, Name, Order, Page, Query, SortBy};

/// All rows are under here.
const PREFIX: &str = "snapshot/";

/// Reads the rows of the catalogue, and [changes](Self::by) them in somebody's name.
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

    /// Changes the catalogue in the name of whoever that is, at this instant.
    pub fn by(&self, who: impl Into<String>, at: Timestamp) -> Author {
        Author {
            catalogue: self.clone(),
            who: who.into(),
            at,
        }
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
