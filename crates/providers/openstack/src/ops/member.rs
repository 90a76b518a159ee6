//! Snapshots that were taken together as a group's. Cinder deletes them together, too: so one that
//! is to go is marked and shown no more, and the last takes all of them along.

use std::collections::BTreeMap;

use stillpoint_core::{Error, ErrorKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use super::volume::deleted;
use crate::api::cinder::Snapshot;
use crate::cloud::{done, found};
use crate::marks;

impl Snapshot {
    /// Whether it is to go, and waits for the others of its group.
    pub(crate) fn is_going(&self) -> bool {
        self.metadata.contains_key(marks::GONE)
    }

    /// Refuses what is shown no more.
    pub(crate) fn check_shown(&self) -> Result<()> {
        if !self.is_going() {
            return Ok(());
        }
        let what = "it is deleted, and waits for the others of its group";
        Err(Error::new(ErrorKind::NotFound, what).advise("List what is there"))
    }
}

impl Ask<'_> {
    pub(super) async fn delete_member(self, of: &str, snapshot: &Snapshot) -> Result<Ticket> {
        let session = &self.cloud.session;
        let mark = BTreeMap::from([(marks::GONE.to_owned(), self.key.to_string())]);
        session
            .add_metadata("snapshots", &snapshot.id, &mark)
            .await?;
        let members = session.members(of).await?;
        if members.iter().all(Snapshot::is_going)
            && let Err(error) = found(session.delete_group_snapshot(of).await)
        {
            // Another one may have been the last, too, and asked before: they go only together.
            let left = session.members(of).await?;
            let goes = |it: &Snapshot| it.status == "deleting";
            if !left.is_empty() && !left.iter().any(goes) {
                return Err(error);
            }
        }
        Ok(self.ticket(&snapshot.id))
    }

    pub(super) async fn observe_deleted_member(
        self,
        reference: &ResourceRef,
        of: &str,
        snapshot: Snapshot,
    ) -> Result<Observation> {
        let members = self.cloud.session.members(of).await?;
        let waits = !members.iter().all(Snapshot::is_going);
        Ok(if snapshot.is_going() && waits {
            done()
        } else {
            deleted(reference, Some(snapshot.status), self.ticket)
        })
    }
}
