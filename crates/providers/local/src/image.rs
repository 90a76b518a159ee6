//! Images: root disks to launch instances from.

use jiff::Timestamp;
use stillpoint_core::{Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, OperationKey, Output};

use crate::entity::{ImageRecord, data_file};
use crate::folder::Area;
use crate::ids::is_file_name;
use crate::local::Local;
use crate::make::{Bytes, Make, free_id};
use crate::record::{encode, file_name};

pub(crate) fn create(
    local: &Local,
    key: &OperationKey,
    name: &str,
    labels: &Labels,
    from: &ResourceRef,
) -> Result<Make> {
    local.id(from, ResourceKind::Snapshot)?;
    let id = free_id(local, ResourceKind::Image, name, key)?;
    let reference = local.reference(ResourceKind::Image, &id)?;
    let claimed = local.claims.claim(&[from], &[&reference])?;
    let from = Bytes::open(local, from)?;
    let record = encode(&ImageRecord {
        name: name.to_owned(),
        labels: labels.clone(),
        created_at: Timestamp::now(),
        created_by: key.clone(),
        size: from.size,
    })?;
    let make = Make {
        key: key.clone(),
        size: from.size,
        from: Some(from),
        area: Area::Images,
        name: data_file(&id),
        replaces: None,
        record: (Area::Images, file_name(&id), record),
        _claimed: claimed,
    };
    make.require_space(local)
        .map_err(|error| error.on(reference))?;
    Ok(make)
}

/// Whether an image of this key is there.
pub(crate) fn observe(local: &Local, key: &OperationKey, name: &str) -> Result<Observation> {
    for id in [name, key.as_str()] {
        if is_file_name(id)
            && let Some(record) = local.folder.load::<ImageRecord>(id)?
            && record.created_by == *key
        {
            return Ok(Observation::Done {
                output: Output::Created(local.reference(ResourceKind::Image, id)?),
                twins: Vec::new(),
            });
        }
    }
    Ok(Observation::Absent)
}
