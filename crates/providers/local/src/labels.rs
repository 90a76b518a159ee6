use stillpoint_core::{ErrorKind, Labels, ResourceKind, ResourceRef, Result};

use crate::entity::{ImageRecord, InstanceRecord, SnapshotRecord, VolumeRecord};
use crate::inventory::missing;
use crate::local::Local;
use crate::record::Record;

/// Sets these and leaves the others.
pub(crate) fn set(local: &Local, resource: &ResourceRef, labels: &Labels) -> Result<()> {
    let _claimed = local.claims.claim(&[], &[resource])?;
    local.describe(resource)?;
    let _records = local.records();
    match resource.kind() {
        ResourceKind::Image => change::<ImageRecord>(local, resource, |to| &mut to.labels, labels),
        ResourceKind::Instance => {
            change::<InstanceRecord>(local, resource, |to| &mut to.labels, labels)
        }
        ResourceKind::Snapshot => {
            change::<SnapshotRecord>(local, resource, |to| &mut to.labels, labels)
        }
        _ => {
            let id = local.id(resource, ResourceKind::Volume)?;
            let mut record = local.folder.load::<VolumeRecord>(id)?.unwrap_or_default();
            record.labels.extend(labels.clone());
            local.folder.store(id, &record)
        }
    }
}

/// Whether the resource is there and has them all.
pub(crate) fn are_set(local: &Local, resource: &ResourceRef, labels: &Labels) -> Result<bool> {
    match local.describe(resource) {
        Ok(found) => Ok(labels
            .iter()
            .all(|(key, value)| found.labels.get(key) == Some(value))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn change<R: Record>(
    local: &Local,
    resource: &ResourceRef,
    part: fn(&mut R) -> &mut Labels,
    labels: &Labels,
) -> Result<()> {
    let id = local.id(resource, resource.kind())?;
    let mut record = local
        .folder
        .load::<R>(id)?
        .ok_or_else(|| missing(resource))?;
    part(&mut record).extend(labels.clone());
    local.folder.store(id, &record)
}
