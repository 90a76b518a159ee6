use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Result, Retry, Snapshot, SnapshotId, SnapshotState};

use super::{Catalogue, Row, audit, expiry, key};
use crate::batch::{Batch, Guard};
use crate::codec;

/// How often a change that others interfere with is tried.
const ATTEMPTS: usize = 16;

/// Changes the catalogue in somebody's name. Each change is in the [audit](super#the-audit), in
/// the same batch.
#[derive(Clone, Debug)]
pub struct Author {
    pub(super) catalogue: Catalogue,
    pub(super) who: String,
    pub(super) at: Timestamp,
}

/// Changes by jobs, made together with whatever else is in their batch.
impl Author {
    /// Adds a new snapshot to the batch, which is refused if its id is taken.
    ///
    /// # Errors
    ///
    /// `Internal` where it cannot be written as JSON.
    pub fn insert(&self, batch: &mut Batch, snapshot: &Snapshot) -> Result<()> {
        batch.put(key(snapshot.id), Guard::Absent, codec::encode(snapshot)?);
        expiry::index(batch, snapshot);
        audit::added(self, batch, snapshot)
    }

    /// Adds to the batch that this is written in place of the row. The batch is refused if the row
    /// was changed since it was read.
    ///
    /// # Errors
    ///
    /// `Internal` where it cannot be written as JSON.
    pub fn update(&self, batch: &mut Batch, row: &Row, to: &Snapshot) -> Result<()> {
        let before = &row.snapshot;
        batch.put(key(before.id), Guard::At(row.version), codec::encode(to)?);
        if before.expires_at != to.expires_at {
            expiry::unindex(batch, before);
            expiry::index(batch, to);
        }
        audit::changed(self, batch, row, to)
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
        let deleting = Snapshot {
            state: SnapshotState::Deleting,
            ..snapshot.clone()
        };
        self.update(batch, row, &deleting)
    }

    /// Adds to the batch that the row goes. The batch is refused if the row was changed since it
    /// was read.
    ///
    /// # Errors
    ///
    /// `Internal` where that cannot be written as JSON.
    pub fn remove(&self, batch: &mut Batch, row: &Row) -> Result<()> {
        batch.delete(key(row.snapshot.id), Guard::At(row.version));
        expiry::unindex(batch, &row.snapshot);
        audit::removed(self, batch, row)
    }

    /// Reads the row, changes it and writes it if nobody else did meanwhile, else tries again.
    pub(super) async fn edit(
        &self,
        id: SnapshotId,
        change: impl Fn(&mut Snapshot) -> Result<()> + Send,
    ) -> Result<Row> {
        for _ in 0..ATTEMPTS {
            let row = self.catalogue.get(id).await?;
            let mut after = row.snapshot.clone();
            change(&mut after)?;
            if after == row.snapshot {
                return Ok(row);
            }
            let mut batch = Batch::new();
            self.update(&mut batch, &row, &after)?;
            match self.catalogue.state.commit(batch).await {
                Ok(committed) => {
                    return Ok(Row {
                        snapshot: after,
                        version: committed.revision,
                    });
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            format!("snapshot {id} is changed faster than it can be changed"),
        )
        .retry_with(Retry::After(Duration::from_secs(1)))
        .advise("Try again"))
    }
}
