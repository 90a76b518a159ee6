//! Deleting an image. One that Nova made of an instance with volumes is only a list of Cinder
//! snapshots: deleted alone, it would leave them behind with nothing that names them.

use std::collections::BTreeMap;

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use crate::api::cinder::Snapshot;
use crate::cloud::{done, found, running};
use crate::made::failed;
use crate::marks;

impl Ask<'_> {
    /// Marks the snapshots with the image, so that they are known when it is gone, whoever asks
    /// then; then the image goes, and then they.
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
            // All of them before any: without the image nothing lists them.
            let mut held = Vec::new();
            for snapshot in seen.mapping().into_iter().filter_map(|it| it.snapshot_id) {
                held.extend(self.hold(&snapshot).await.map_err(on)?);
            }
            let mark = BTreeMap::from([(marks::DELETED_WITH.to_owned(), id.to_owned())]);
            for (_, snapshot) in &held {
                found(session.add_metadata("snapshots", &snapshot.id, &mark).await).map_err(on)?;
            }
            found(session.delete_image(id).await).map_err(on)?;
        }
        let changed = |error: Error| on(error.leaving(World::Changed));
        for snapshot in self.going_along(id).await.map_err(changed)? {
            let reference = self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?;
            self.delete_snapshot(&reference).await.map_err(changed)?;
        }
        Ok(self.ticket(id))
    }

    pub(super) async fn observe_deleted_image(self, image: &ResourceRef) -> Result<Observation> {
        let id = self.cloud.id(image, ResourceKind::Image)?;
        let seen = found(self.cloud.session.image(id).await)?;
        if seen.is_some_and(|seen| !matches!(seen.status.as_str(), "deleted" | "pending_delete")) {
            return Ok(Observation::Absent);
        }
        let left = self.going_along(id).await?;
        // Cinder took each of them: what does not go was given up.
        if let Some(stuck) = left.iter().find(|snapshot| snapshot.status != "deleting")
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

    async fn going_along(&self, image: &str) -> Result<Vec<Snapshot>> {
        let session = &self.cloud.session;
        session.snapshots_marked(marks::DELETED_WITH, image).await
    }
}
