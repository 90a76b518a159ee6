use stillpoint_core::{Error, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Ticket};

use super::Ask;
use crate::cloud::{done, found};
use crate::marks;

impl Ask<'_> {
    pub(super) async fn set_labels(
        self,
        resource: &ResourceRef,
        labels: &Labels,
    ) -> Result<Ticket> {
        marks::check(labels)?;
        let id = self.cloud.id(resource, resource.kind())?;
        let session = &self.cloud.session;
        let set = match resource.kind() {
            ResourceKind::Image => match marks::check_image(labels) {
                Ok(()) => session.set_properties(id, labels).await,
                Err(error) => Err(error),
            },
            ResourceKind::Instance => session.add_server_metadata(id, labels).await,
            ResourceKind::Snapshot => session.add_metadata("snapshots", id, labels).await,
            _ => match self.volume_id(resource) {
                Ok(id) => session.add_metadata("volumes", id, labels).await,
                Err(error) => Err(error),
            },
        };
        set.map_err(|error: Error| error.on(resource.clone()))?;
        Ok(self.ticket(id))
    }

    pub(super) async fn observe_labels(
        self,
        resource: &ResourceRef,
        labels: &Labels,
    ) -> Result<Observation> {
        let Some(seen) = found(self.cloud.describe(resource).await)? else {
            return Ok(Observation::Absent);
        };
        let set = labels
            .iter()
            .all(|(name, value)| seen.labels.get(name) == Some(value));
        Ok(if set { done() } else { Observation::Absent })
    }
}
