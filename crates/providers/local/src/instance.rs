//! Instances: records that name their disks.

use jiff::Timestamp;
use stillpoint_core::{Disk, Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{NewDisk, Observation, OperationKey, Output};

use crate::entity::{DiskRecord, InstanceRecord};
use crate::folder::Area;
use crate::ids::is_file_name;
use crate::inventory::missing;
use crate::local::Local;
use crate::make::free_id;

pub(crate) fn create(
    local: &Local,
    key: &OperationKey,
    name: &str,
    labels: &Labels,
    disks: &[NewDisk],
) -> Result<()> {
    let _records = local.records();
    let id = free_id(local, ResourceKind::Instance, name, key)?;
    let mut records = Vec::new();
    for disk in disks {
        require_free(local, &disk.volume, None)?;
        add(
            &mut records,
            &disk.name,
            Some(disk.volume.id()),
            0,
            disk.boot,
        )?;
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

/// Makes the instance as the embedder says it is, or brings it up to date.
pub(crate) fn declare(local: &Local, name: &str, disks: &[Disk]) -> Result<ResourceRef> {
    let instance = local.reference(ResourceKind::Instance, name)?;
    let id = local.id(&instance, ResourceKind::Instance)?;
    let _claimed = local.claims.claim(&[], &[&instance])?;
    let _records = local.records();
    let mut records = Vec::new();
    for disk in disks {
        let volume = match &disk.volume {
            Some(volume) => {
                require_free(local, volume, Some(id))?;
                Some(volume.id())
            }
            None => None,
        };
        add(&mut records, &disk.name, volume, disk.size, disk.boot)?;
    }
    let mut record = local
        .folder
        .load::<InstanceRecord>(id)?
        .unwrap_or_else(|| InstanceRecord {
            name: name.to_owned(),
            labels: Labels::new(),
            created_at: Timestamp::now(),
            created_by: None,
            disks: Vec::new(),
        });
    record.disks = records;
    local.folder.store(id, &record)?;
    Ok(instance)
}

fn add(
    disks: &mut Vec<DiskRecord>,
    name: &str,
    volume: Option<&str>,
    size: u64,
    boot: bool,
) -> Result<()> {
    let twice = disks
        .iter()
        .any(|other| other.name == name || (volume.is_some() && other.volume.as_deref() == volume));
    if twice {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!("disk `{name}` or its volume is named twice"),
        )
        .advise("Give every disk a name and a volume of its own"));
    }
    disks.push(DiskRecord {
        name: name.to_owned(),
        volume: volume.map(str::to_owned),
        size,
        boot,
    });
    Ok(())
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
    require_free(local, volume, None)?;
    if record.disks.iter().any(|other| other.name == disk) {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("it has a disk `{disk}` already"),
        )
        .on(instance.clone())
        .advise("Choose another name, or detach that one first"));
    }
    add(&mut record.disks, disk, Some(volume.id()), 0, false)?;
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

/// The volume must be there and on no instance but perhaps this one.
fn require_free(local: &Local, volume: &ResourceRef, but: Option<&str>) -> Result<()> {
    let id = local.id(volume, ResourceKind::Volume)?;
    let stat = local
        .folder
        .stat(Area::Top, id)?
        .ok_or_else(|| missing(volume))?;
    crate::folder::require_regular(&stat, &local.folder.path(Area::Top, id))
        .map_err(|error| error.on(volume.clone()))?;
    require_detached(local, volume, but)
}

/// The volume must be on no instance but perhaps this one.
pub(crate) fn require_detached(
    local: &Local,
    volume: &ResourceRef,
    but: Option<&str>,
) -> Result<()> {
    let on: Vec<_> = local
        .attachments()?
        .into_iter()
        .filter(|attachment| attachment.volume == volume.id())
        .filter(|attachment| Some(attachment.instance.as_str()) != but)
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
