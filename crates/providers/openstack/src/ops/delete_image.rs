//! Deleting an image. One that Nova made of an instance with volumes is only a list of Cinder
//! snapshots: deleted alone, it would leave them behind with nothing that names them.

use std::collections::BTreeMap;

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use crate::api::cinder::Snapshot;
use crate::cloud::{done, found, running};
use crate::made::failed;
use crate::marks;

impl Ask<'_> {
    /// Marks the snapshots with the key, so that they are known when the image is gone; then the
    /// image goes, and then they.
    pub(super) async fn delete_image(self, image: &ResourceRef) -> Result<Ticket> {
        let on = |error: Error| error.on(image.clone());
        let id = self.cloud.id(image, ResourceKind::Image)?;
        let session = &self.cloud.session;
        if let Some(seen) = found(session.image(id).await).map_err(on)? {
            if seen
                .properties
                .get("protected")
                .and_then(serde_json::Value::as_bool)
                == Some(true)
            {
                let what = "it is protected";
                return Err(on(Error::new(ErrorKind::Precondition, what).advise(
                    "Take its protection away first: openstack image set --unprotected",
                )));
            }
            let mark = BTreeMap::from([(marks::DELETED_WITH.to_owned(), self.key.to_string())]);
            for snapshot in seen.mapping().into_iter().filter_map(|it| it.snapshot_id) {
                found(session.add_metadata("snapshots", &snapshot, &mark).await).map_err(on)?;
            }
            found(session.delete_image(id).await).map_err(on)?;
        }
        for snapshot in self.going_along().await.map_err(on)? {
            let reference = self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?;
            self.delete_snapshot(&reference).await.map_err(on)?;
        }
        Ok(self.ticket(id))
    }

    pub(super) async fn observe_deleted_image(self, image: &ResourceRef) -> Result<Observation> {
        let id = self.cloud.id(image, ResourceKind::Image)?;
        let seen = found(self.cloud.session.image(id).await)?;
        if seen.is_some_and(|seen| !matches!(seen.status.as_str(), "deleted" | "pending_delete")) {
            return Ok(Observation::Absent);
        }
        let left = self.going_along().await?;
        if let Some(stuck) = left.iter().find(|snapshot| snapshot.has_failed())
            && self.ticket.is_some()
        {
            let why = format!("snapshot {} is in state `{}`", stuck.id, stuck.status);
            let left = left
                .iter()
                .map(|snapshot| self.cloud.reference(ResourceKind::Snapshot, &snapshot.id));
            return Ok(Observation::Failed {
                error: failed(why).on(image.clone()),
                left: left.collect::<Result<_>>()?,
            });
        }
        Ok(match (left.is_empty(), self.ticket) {
            (true, _) => done(),
            (false, Some(_)) => running(),
            // The image went and its snapshots did not: to be asked for again.
            (false, None) => Observation::Absent,
        })
    }

    async fn going_along(&self) -> Result<Vec<Snapshot>> {
        let (session, key) = (&self.cloud.session, self.key.as_str());
        session.snapshots_marked(marks::DELETED_WITH, key).await
    }
}
