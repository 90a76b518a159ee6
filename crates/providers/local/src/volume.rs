//! Volumes: made, and put back to a snapshot.

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, OperationKey, Output};

use crate::entity::{SnapshotRecord, VolumeRecord};
use crate::folder::{Area, require_regular};
use crate::ids::is_file_name;
use crate::inventory::missing;
use crate::local::Local;
use crate::make::{Bytes, Make, free_id};
use crate::record::{encode, file_name};
use crate::source::require_unwritten;

pub(crate) fn create(
    local: &Local,
    key: &OperationKey,
    name: &str,
    labels: &Labels,
    size: u64,
    from: Option<&ResourceRef>,
) -> Result<Make> {
    let id = free_id(local, ResourceKind::Volume, name, key)?;
    let reference = local.reference(ResourceKind::Volume, &id)?;
    let reading: Vec<_> = from.into_iter().collect();
    let claimed = local.claims.claim(&reading, &[&reference])?;
    let from = from.map(|from| Bytes::open(local, from)).transpose()?;
    if let Some(from) = &from
        && size < from.size
    {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{size} bytes are asked for, and its source has {}",
                from.size
            ),
        )
        .on(reference)
        .advise(format!("Ask for at least {} bytes", from.size)));
    }
    let record = encode(&VolumeRecord {
        name: Some(name.to_owned()),
        labels: labels.clone(),
        created_at: Some(Timestamp::now()),
        created_by: Some(key.clone()),
        size,
        reverted_by: Vec::new(),
    })?;
    let make = Make {
        key: key.clone(),
        from,
        size,
        area: Area::Top,
        name: id.clone(),
        replaces: None,
        record: (Area::Volumes, file_name(&id), record),
        _claimed: claimed,
    };
    make.require_space(local)
        .map_err(|error| error.on(reference))?;
    Ok(make)
}

pub(crate) fn revert(
    local: &Local,
    key: &OperationKey,
    volume: &ResourceRef,
    to: &ResourceRef,
) -> Result<Make> {
    let on = |error: Error| error.on(volume.clone());
    let id = local.id(volume, ResourceKind::Volume)?;
    let claimed = local.claims.claim(&[to], &[volume])?;
    let stat = local
        .folder
        .stat(Area::Top, id)?
        .ok_or_else(|| missing(volume))?;
    require_regular(&stat, &local.folder.path(Area::Top, id)).map_err(on)?;
    // It would go on writing into the old file, which has no name any more.
    require_unwritten(&stat, volume)?;
    let from = open_own(local, volume, to)?;
    let mut record = local
        .folder
        .load::<VolumeRecord>(id)
        .map_err(on)?
        .unwrap_or_default();
    record.size = from.size;
    record.reverted(key.clone());
    let make = Make {
        key: key.clone(),
        size: from.size,
        from: Some(from),
        area: Area::Top,
        name: id.to_owned(),
        replaces: Some(stat),
        record: (Area::Volumes, file_name(id), encode(&record)?),
        _claimed: claimed,
    };
    make.require_space(local).map_err(on)?;
    Ok(make)
}

/// The bytes of a snapshot that must be of this volume: those of another would destroy it.
fn open_own(local: &Local, volume: &ResourceRef, snapshot: &ResourceRef) -> Result<Bytes> {
    let id = local.id(snapshot, ResourceKind::Snapshot)?;
    let bytes = Bytes::open(local, snapshot)?;
    match local.folder.load::<SnapshotRecord>(id)? {
        Some(record) if record.of == volume.id() => Ok(bytes),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            format!("{snapshot} is not a snapshot of it"),
        )
        .on(volume.clone())
        .advise("Make a new volume from that snapshot instead")),
    }
}

/// Whether a volume of this key is there.
pub(crate) fn observe(local: &Local, key: &OperationKey, name: &str) -> Result<Observation> {
    for id in [name, key.as_str()] {
        if is_file_name(id)
            && local.folder.stat(Area::Top, id)?.is_some()
            && let Some(record) = local.folder.load::<VolumeRecord>(id)?
            && record.created_by.as_ref() == Some(key)
        {
            return Ok(Observation::Done {
                output: Output::Created(local.reference(ResourceKind::Volume, id)?),
                twins: Vec::new(),
            });
        }
    }
    Ok(Observation::Absent)
}

/// Whether this key has reverted the volume.
pub(crate) fn is_reverted(local: &Local, key: &OperationKey, volume: &ResourceRef) -> Result<bool> {
    let id = local.id(volume, ResourceKind::Volume)?;
    Ok(local
        .folder
        .load::<VolumeRecord>(id)?
        .is_some_and(|record| record.reverted_by.contains(key)))
}
