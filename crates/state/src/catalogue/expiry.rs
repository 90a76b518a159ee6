//! Which snapshots expire next: an index beside the rows, written with them.

use futures_util::TryStreamExt;
use jiff::{Timestamp, TimestampRound, Unit};
use stillpoint_core::{Error, ErrorKind, Result, Snapshot, SnapshotId};

use crate::batch::{Batch, Guard};
use crate::catalogue::Catalogue;
use crate::entry::Revision;
use crate::state::StateExt;

const PREFIX: &str = "expiry/";

impl Catalogue {
    /// The snapshots that expire, the first first, up to and including the first one after `now`;
    /// and the revision that this is of.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the index cannot be read. Those of the [`State`](crate::State).
    pub async fn expiring(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<(Timestamp, SnapshotId)>, Revision)> {
        let mut scan = self.state.scan_prefix(PREFIX).await?;
        let revision = scan.revision();
        let mut expiring = Vec::new();
        while let Some(entry) = scan.try_next().await? {
            let (at, id) = place(&entry.key).ok_or_else(|| {
                let message = format!("`{}` is no place in the expiry index", entry.key);
                Error::new(ErrorKind::Corrupt, message).advise("Put back a copy of the state")
            })?;
            expiring.push((at, id));
            if at > now {
                break;
            }
        }
        Ok((expiring, revision))
    }

    /// Returns when what expires may have changed since.
    ///
    /// # Errors
    ///
    /// Those of the [`State`](crate::State).
    pub async fn expiring_changed(&self, since: Revision) -> Result<()> {
        self.state.changed(PREFIX, since).await
    }
}

/// The first whole second that is not before.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    let up = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Ceil);
    at.round(up).unwrap_or(at)
}

pub(super) fn index(batch: &mut Batch, snapshot: &Snapshot) {
    if let Some(at) = snapshot.expires_at {
        batch.put(key(at, snapshot.id), Guard::Any, "");
    }
}

pub(super) fn unindex(batch: &mut Batch, snapshot: &Snapshot) {
    if let Some(at) = snapshot.expires_at {
        batch.delete(key(at, snapshot.id), Guard::Any);
    }
}

/// Instants of one length, so that they sort as text.
fn key(at: Timestamp, id: SnapshotId) -> String {
    format!("{PREFIX}{at:.0}/{id}")
}

fn place(key: &str) -> Option<(Timestamp, SnapshotId)> {
    let (at, id) = key.strip_prefix(PREFIX)?.split_once('/')?;
    Some((at.parse().ok()?, id.parse().ok()?))
}
