//! One file an operation, or two that undo each other. Each has what *submit* does, and what
//! *observe* tells by the key alone.

mod attach;
mod delete_image;
mod image;
mod instance;
mod labels;
mod member;
mod power;
mod remembered;
mod revert;
mod root;
mod snapshot;
mod volume;
mod whole;

use std::sync::Arc;

use stillpoint_core::{Error, ErrorKind, ResourceKind, Result};
use stillpoint_iaas::{Observation, Operation, OperationKey, OperationKind, Ticket};

use crate::cloud::Cloud;

pub(crate) use self::root::{root_id, root_of};

/// All that is carried out.
pub(crate) const SUPPORTED: [OperationKind; 14] = [
    OperationKind::Attach,
    OperationKind::CreateImage,
    OperationKind::CreateInstance,
    OperationKind::CreateVolume,
    OperationKind::DeleteImage,
    OperationKind::DeleteInstance,
    OperationKind::DeleteSnapshot,
    OperationKind::DeleteVolume,
    OperationKind::Detach,
    OperationKind::PowerOff,
    OperationKind::PowerOn,
    OperationKind::Revert,
    OperationKind::SetLabels,
    OperationKind::Snapshot,
];

/// One operation under its key, as it is asked for or after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) cloud: &'a Arc<Cloud>,
    pub(crate) key: &'a OperationKey,
    pub(crate) ticket: Option<&'a Ticket>,
}

impl Ask<'_> {
    pub(crate) async fn submit(self, operation: &Operation) -> Result<Ticket> {
        match operation {
            Operation::Attach {
                instance,
                volume,
                disk,
            } => self.attach(instance, volume, disk).await,
            Operation::CreateImage { name, labels, from } => {
                self.create_image(name, labels, from).await
            }
            Operation::CreateInstance {
                name,
                labels,
                disks,
            } => self.create_instance(name, labels, disks).await,
            Operation::CreateVolume {
                name,
                labels,
                size,
                from,
            } => self.create_volume(name, labels, *size, from.as_ref()).await,
            Operation::DeleteImage { image } => self.delete_image(image).await,
            Operation::DeleteInstance { instance } => self.delete_instance(instance).await,
            Operation::DeleteSnapshot { snapshot } => self.delete_snapshot(snapshot).await,
            Operation::DeleteVolume { volume } => self.delete_volume(volume).await,
            Operation::Detach { instance, volume } => self.detach(instance, volume).await,
            Operation::PowerOff { instance } => self.power(instance, false).await,
            Operation::PowerOn { instance } => self.power(instance, true).await,
            Operation::Revert { volume, to } => self.revert(volume, to).await,
            Operation::SetLabels { resource, labels } => self.set_labels(resource, labels).await,
            Operation::Snapshot(take) => self.take(take).await,
            other => Err(unsupported(other)),
        }
    }

    pub(crate) async fn observe(self, operation: &Operation) -> Result<Observation> {
        match operation {
            Operation::Attach {
                instance, volume, ..
            } => self.observe_attached(instance, volume, true).await,
            Operation::CreateImage { .. } => self.observe_image().await,
            Operation::CreateInstance { .. } => self.observe_instance().await,
            Operation::CreateVolume { .. } => self.observe_volume().await,
            Operation::DeleteImage { image } => self.observe_deleted_image(image).await,
            Operation::DeleteInstance { instance } => self.observe_deleted_instance(instance).await,
            Operation::DeleteSnapshot { snapshot } => self.observe_deleted_snapshot(snapshot).await,
            Operation::DeleteVolume { volume } => self.observe_deleted_volume(volume).await,
            Operation::Detach { instance, volume } => {
                self.observe_attached(instance, volume, false).await
            }
            Operation::PowerOff { instance } => self.observe_power(instance, false).await,
            Operation::PowerOn { instance } => self.observe_power(instance, true).await,
            Operation::Revert { volume, to } => self.observe_revert(volume, to).await,
            Operation::SetLabels { resource, labels } => {
                self.observe_labels(resource, labels).await
            }
            Operation::Snapshot(take) => self.observe_taken(take).await,
            other => Err(unsupported(other)),
        }
    }

    /// Stops what the cloud can stop. Cinder refuses to delete what it is making, so that goes on.
    pub(crate) async fn cancel(self, operation: &Operation) -> Result<()> {
        match operation {
            Operation::CreateImage { .. } => self.cancel_image().await,
            Operation::CreateInstance { .. } => self.cancel_instance().await,
            Operation::Snapshot(take) => match take.parts.as_slice() {
                [part] if root_of(&part.volume).is_some() => self.cancel_root().await,
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The ticket that names what was made.
    fn ticket(self, id: &str) -> Ticket {
        Ticket::new(id)
    }

    fn volume_id<'r>(&self, of: &'r stillpoint_core::ResourceRef) -> Result<&'r str> {
        let id = self.cloud.id(of, ResourceKind::Volume)?;
        if root_of(of).is_none() {
            return Ok(id);
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            "it is a disk on the hypervisor, not in Cinder",
        )
        .on(of.clone())
        .advise("Take a snapshot of it, and make a volume from that"))
    }
}

fn unsupported(operation: &Operation) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("OpenStack cannot {operation}"),
    )
    .advise("See the capabilities for what it can")
}
