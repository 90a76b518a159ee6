//! Instances: records that name their disks.

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{NewDisk, Observation, OperationKey, Output};

use crate::create::free_id;
use crate::entity::{DiskRecord, InstanceRecord};
use crate::folder::Area;
use crate::ids::is_file_name;
use crate::inventory::missing;
use crate::local::Local;
use crate::record::file_name;

pub(crate) fn create(
    local: &Local,
    key: &OperationKey,
    name: &str,
    labels: &Labels,
    disks: &[NewDisk],
) -> Result<()> {
    let _records = local.records();
    let id = free_id(
        local,
        ResourceKind::Instance,
        Area::Instances,
        name,
        key,
        file_name,
    )?;
    let mut records: Vec<DiskRecord> = Vec::new();
    for disk in disks {
        require_free(local, &disk.volume)?;
        let twice = records.iter().any(|other| {
            other.name == disk.name || other.volume.as_deref() == Some(disk.volume.id())
        });
        if twice {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("disk `{}` or its volume is named twice", disk.name),
            )
            .advise("Give every disk a name and a volume of its own"));
        }
        records.push(DiskRecord {
            name: disk.name.clone(),
            volume: Some(disk.volume.id().to_owned()),
            size: 0,
            boot: disk.boot,
        });
    }
    local.folder.store(
        &id,
        &InstanceRecord {
            name: name.to_owned(),
            labels: labels.clone(),
            created_at: Timestamp::now(),
            created_by: Some(key.clone()),
            disks: records,
        },
    )
}

pub(crate) fn observe(local: &Local, key: &OperationKey, name: &str) -> Result<Observation> {
    for id in [name, key.as_str()] {
        if is_file_name(id)
            && let Some(record) = local.folder.load::<InstanceRecord>(id)?
            && record.created_by.as_ref() == Some(key)
        {
            return Ok(Observation::Done {
                output: Output::Created(local.reference(ResourceKind::Instance, id)?),
                twins: Vec::new(),
            });
        }
    }
    Ok(Observation::Absent)
}

pub(crate) fn delete(local: &Local, instance: &ResourceRef) -> Result<()> {
    let id = local.id(instance, ResourceKind::Instance)?;
    let _claimed = local.claims.claim(&[], &[instance])?;
    let _records = local.records();
    local.folder.remove_record::<InstanceRecord>(id)
}

pub(crate) fn attach(
    local: &Local,
    instance: &ResourceRef,
    volume: &ResourceRef,
    disk: &str,
) -> Result<()> {
    let _claimed = local.claims.claim(&[], &[instance])?;
    let _records = local.records();
    let mut record = load(local, instance)?;
    if is_attached(&record, volume) {
        return Ok(());
    }
    require_free(local, volume)?;
    if record.disks.iter().any(|other| other.name == disk) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("it has a disk `{disk}` already"),
        )
        .on(instance.clone())
        .advise("Choose another name, or detach that one first"));
    }
    record.disks.push(DiskRecord {
        name: disk.to_owned(),
        volume: Some(volume.id().to_owned()),
        size: 0,
        boot: false,
    });
    local.folder.store(instance.id(), &record)
}

pub(crate) fn detach(local: &Local, instance: &ResourceRef, volume: &ResourceRef) -> Result<()> {
    let _claimed = local.claims.claim(&[], &[instance])?;
    let _records = local.records();
    let mut record = load(local, instance)?;
    if !is_attached(&record, volume) {
        return Ok(());
    }
    record
        .disks
        .retain(|disk| disk.volume.as_deref() != Some(volume.id()));
    local.folder.store(instance.id(), &record)
}

/// Whether the instance has the volume; none where the instance is gone.
pub(crate) fn has(
    local: &Local,
    instance: &ResourceRef,
    volume: &ResourceRef,
) -> Result<Option<bool>> {
    let id = local.id(instance, ResourceKind::Instance)?;
    Ok(local
        .folder
        .load::<InstanceRecord>(id)?
        .map(|record| is_attached(&record, volume)))
}

fn is_attached(record: &InstanceRecord, volume: &ResourceRef) -> bool {
    record
        .disks
        .iter()
        .any(|disk| disk.volume.as_deref() == Some(volume.id()))
}

fn load(local: &Local, instance: &ResourceRef) -> Result<InstanceRecord> {
    local
        .folder
        .load::<InstanceRecord>(local.id(instance, ResourceKind::Instance)?)
        .map_err(|error| error.on(instance.clone()))?
        .ok_or_else(|| missing(instance))
}

/// The volume must be there and on no instance.
fn require_free(local: &Local, volume: &ResourceRef) -> Result<()> {
    let id = local.id(volume, ResourceKind::Volume)?;
    let stat = local
        .folder
        .stat(Area::Top, id)?
        .ok_or_else(|| missing(volume))?;
    crate::folder::require_regular(&stat, &local.folder.path(Area::Top, id))
        .map_err(|error| error.on(volume.clone()))?;
    require_detached(local, volume)
}

/// The volume must be on no instance.
pub(crate) fn require_detached(local: &Local, volume: &ResourceRef) -> Result<()> {
    let on: Vec<_> = local
        .attachments()?
        .into_iter()
        .filter(|attachment| attachment.volume == volume.id())
        .map(|attachment| attachment.instance)
        .collect();
    if on.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Precondition,
        format!("it is attached to {}", on.join(", ")),
    )
    .on(volume.clone())
    .advise("Detach it, or delete that instance first"))
}
