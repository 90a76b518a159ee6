//! Volumes and images: empty, or with the bytes of a snapshot; and volumes put back to one.

use std::fs::File;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use stillpoint_core::{CopyKind, Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, OperationKey, Output};

use crate::claims::Claimed;
use crate::commit::{Move, publish};
use crate::copy::Method;
use crate::entity::{ImageRecord, SnapshotRecord, VolumeRecord, data_file};
use crate::failpoint;
use crate::failure::storage;
use crate::folder::Area;
use crate::ids::{is_file_name, part};
use crate::inventory::missing;
use crate::jobs::Job;
use crate::local::{Local, cancelled};
use crate::record::{encode, file_name};
use crate::source::require_unwritten;

/// A file to be made, with its record, that nothing stands in the way of.
#[derive(Debug)]
pub(crate) struct Make {
    key: OperationKey,
    from: Option<(File, u64)>,
    size: u64,
    /// Where the bytes go, and whether that replaces what is there.
    to: (Area, String, bool),
    record: (Area, String, Vec<u8>),
    _claimed: Claimed,
}

impl Make {
    pub(crate) fn volume(
        local: &Local,
        key: &OperationKey,
        name: &str,
        labels: &Labels,
        size: u64,
        from: Option<&ResourceRef>,
    ) -> Result<Self> {
        let id = free_id(
            local,
            ResourceKind::Volume,
            Area::Top,
            name,
            key,
            str::to_owned,
        )?;
        let reading: Vec<_> = from.into_iter().collect();
        let reference = local.reference(ResourceKind::Volume, &id)?;
        let claimed = local.claims.claim(&reading, &[&reference])?;
        let from = from.map(|from| open_bytes(local, from)).transpose()?;
        if let Some((_, least)) = &from
            && size < *least
        {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("{size} bytes are asked for, and its source has {least}"),
            )
            .on(reference)
            .advise(format!("Ask for at least {least} bytes")));
        }
        let record = VolumeRecord {
            name: Some(name.to_owned()),
            labels: labels.clone(),
            created_at: Some(Timestamp::now()),
            created_by: Some(key.clone()),
            size,
            reverted_by: Vec::new(),
        };
        Self::new(
            local,
            key,
            from,
            size,
            (Area::Top, id.clone(), false),
            Area::Volumes,
            &id,
            &record,
            claimed,
        )
    }

    pub(crate) fn image(
        local: &Local,
        key: &OperationKey,
        name: &str,
        labels: &Labels,
        from: &ResourceRef,
    ) -> Result<Self> {
        let id = free_id(
            local,
            ResourceKind::Image,
            Area::Images,
            name,
            key,
            file_name,
        )?;
        let reference = local.reference(ResourceKind::Image, &id)?;
        let claimed = local.claims.claim(&[from], &[&reference])?;
        let from = open_snapshot(local, from)?;
        let size = from.1;
        let record = ImageRecord {
            name: name.to_owned(),
            labels: labels.clone(),
            created_at: Timestamp::now(),
            created_by: key.clone(),
            size,
        };
        let to = (Area::Images, data_file(&id), false);
        Self::new(
            local,
            key,
            Some(from),
            size,
            to,
            Area::Images,
            &id,
            &record,
            claimed,
        )
    }

    pub(crate) fn revert(
        local: &Local,
        key: &OperationKey,
        volume: &ResourceRef,
        to: &ResourceRef,
    ) -> Result<Self> {
        let id = local.id(volume, ResourceKind::Volume)?;
        let claimed = local.claims.claim(&[to], &[volume])?;
        let stat = local
            .folder
            .stat(Area::Top, id)?
            .ok_or_else(|| missing(volume))?;
        crate::folder::require_regular(&stat, &local.folder.path(Area::Top, id))
            .map_err(|error| error.on(volume.clone()))?;
        // It would go on writing into the old file, which has no name any more.
        require_unwritten(&stat, volume)?;
        let from = open_snapshot(local, to)?;
        let mut record = local
            .folder
            .load::<VolumeRecord>(id)
            .map_err(|error| error.on(volume.clone()))?
            .unwrap_or_default();
        let size = from.1;
        record.size = size;
        record.reverted(key.clone());
        let to = (Area::Top, id.to_owned(), true);
        Self::new(
            local,
            key,
            Some(from),
            size,
            to,
            Area::Volumes,
            id,
            &record,
            claimed,
        )
    }

    #[allow(clippy::too_many_arguments, reason = "private; each is a field")]
    fn new<R: Serialize>(
        local: &Local,
        key: &OperationKey,
        from: Option<(File, u64)>,
        size: u64,
        to: (Area, String, bool),
        records: Area,
        id: &str,
        record: &R,
        claimed: Claimed,
    ) -> Result<Self> {
        if let Some((file, _)) = &from {
            let stat = rustix::fs::fstat(file)
                .map_err(|source| storage("look at", &local.folder.path(to.0, &to.1), source))?;
            let allocated = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            local.require_space(allocated, Method::Share)?;
        }
        Ok(Self {
            key: key.clone(),
            from,
            size,
            to,
            record: (records, file_name(id), encode(record)?),
            _claimed: claimed,
        })
    }

    /// Bytes to go through.
    pub(crate) fn total(&self) -> u64 {
        self.from.as_ref().map_or(0, |(_, size)| *size)
    }

    /// Copies and publishes.
    pub(crate) fn run(self, local: &Arc<Local>, job: &Job) -> Result<()> {
        let id = part(&self.key, 0);
        let staged = [data_file(&id), file_name(&id)];
        self.copy(local, job, &staged)
            .map_err(|error| local.unstage(&staged, error))
    }

    fn copy(&self, local: &Local, job: &Job, [data, json]: &[String; 2]) -> Result<()> {
        let folder = &local.folder;
        let file = match &self.from {
            Some((from, size)) => local.copy_staged(from, data, *size, Method::Share, job)?.0,
            None => folder.stage(data)?,
        };
        failpoint::reached("extend")
            .and_then(|()| file.set_len(self.size))
            .map_err(|source| storage("extend", &folder.path(Area::Staged, data), source))?;
        folder.sync_file(&file, Area::Staged, data)?;
        let (records, record_name, record) = &self.record;
        folder.stage_bytes(json, record)?;
        let (area, name, replace) = &self.to;
        let moves = vec![
            Move::new(folder, data.clone(), *area, name.clone(), *replace)?,
            // A volume that was removed by hand may have left its record.
            Move::new(folder, json.clone(), *records, record_name.clone(), true)?,
        ];
        job.go_on().map_err(|_| cancelled())?;
        let _records = local.records();
        publish(folder, &self.key, moves)
    }
}

/// Whether a volume or image of this key is there.
pub(crate) fn observe(
    local: &Local,
    key: &OperationKey,
    kind: ResourceKind,
    name: &str,
) -> Result<Observation> {
    for id in [name, key.as_str()] {
        if !is_file_name(id) {
            continue;
        }
        let created_by = match kind {
            ResourceKind::Image => local
                .folder
                .load::<ImageRecord>(id)?
                .map(|record| record.created_by),
            _ => local
                .folder
                .stat(Area::Top, id)?
                .map(|_| local.folder.load::<VolumeRecord>(id))
                .transpose()?
                .flatten()
                .and_then(|record| record.created_by),
        };
        if created_by.as_ref() == Some(key) {
            return Ok(Observation::Done {
                output: Output::Created(local.reference(kind, id)?),
                twins: Vec::new(),
            });
        }
    }
    Ok(Observation::Absent)
}

/// Whether this key has reverted the volume.
pub(crate) fn observe_revert(
    local: &Local,
    key: &OperationKey,
    volume: &ResourceRef,
) -> Result<Observation> {
    let record = local
        .folder
        .load::<VolumeRecord>(local.id(volume, ResourceKind::Volume)?)?;
    Ok(match record {
        Some(record) if record.reverted_by.contains(key) => Observation::Done {
            output: Output::Nothing,
            twins: Vec::new(),
        },
        _ => Observation::Absent,
    })
}

/// The name asked for where it makes an id that nobody has, and otherwise the key.
///
/// Names need not be unique nor even file names; keys are both.
pub(crate) fn free_id(
    local: &Local,
    kind: ResourceKind,
    area: Area,
    name: &str,
    key: &OperationKey,
    file: fn(&str) -> String,
) -> Result<String> {
    if is_file_name(name) && local.folder.stat(area, &file(name))?.is_none() {
        return Ok(name.to_owned());
    }
    if local.folder.stat(area, &file(key.as_str()))?.is_none() {
        return Ok(key.to_string());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("both `{name}` and `{key}` are there already"),
    )
    .on(local.reference(kind, key.as_str())?)
    .advise("Choose another name"))
}

fn open_snapshot(local: &Local, snapshot: &ResourceRef) -> Result<(File, u64)> {
    local.id(snapshot, ResourceKind::Snapshot)?;
    open_bytes(local, snapshot)
}

/// The bytes of a snapshot or an image, and how many they are.
pub(crate) fn open_bytes(local: &Local, of: &ResourceRef) -> Result<(File, u64)> {
    let size = match of.kind() {
        ResourceKind::Image => {
            let id = local.id(of, ResourceKind::Image)?;
            let record = local.folder.load::<ImageRecord>(id);
            record.map(|record| record.map(|record| record.size))
        }
        _ => {
            let id = local.id(of, ResourceKind::Snapshot)?;
            let record = local.folder.load::<SnapshotRecord>(id);
            record.map(|record| record.map(|record| record.size))
        }
    };
    let size = size
        .map_err(|error| error.on(of.clone()))?
        .ok_or_else(|| missing(of))?;
    Ok((local.open_data(of, size)?, size))
}

/// What copies inside this folder share with their source where the file system can.
pub(crate) const fn copy_kind(reflinks: bool) -> CopyKind {
    if reflinks {
        CopyKind::Shallow
    } else {
        CopyKind::Full
    }
}
