//! A file with its record, published as one: what volumes, images and reverts are made of.

use std::fs::File;
use std::sync::Arc;

use rustix::fs::{Gid, Mode, Stat, Uid, fchmod, fchown, fstat};
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::OperationKey;

use crate::claims::Claimed;
use crate::commit::{Move, publish};
use crate::copy::{Method, Over};
use crate::entity::{ImageRecord, SnapshotRecord, data_file};
use crate::failpoint::{self, Did, Step};
use crate::failure::storage;
use crate::folder::Area;
use crate::ids::{is_file_name, part};
use crate::inventory::missing;
use crate::jobs::Job;
use crate::local::{Local, cancelled};
use crate::record::file_name;

/// A file to be made that nothing stands in the way of.
#[derive(Debug)]
pub(crate) struct Make {
    pub(crate) key: OperationKey,
    /// What it starts with; zeros otherwise.
    pub(crate) from: Option<Bytes>,
    pub(crate) size: u64,
    pub(crate) area: Area,
    pub(crate) name: String,
    /// What has the name now and is to go: its owner and rights stay.
    pub(crate) replaces: Option<Stat>,
    /// Where its record goes, under which name, and its text.
    pub(crate) record: (Area, String, Vec<u8>),
    // Held for as long as it is being made.
    pub(crate) _claimed: Claimed,
}

/// The bytes of a snapshot or an image, open.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) file: File,
    pub(crate) size: u64,
}

impl Bytes {
    pub(crate) fn open(local: &Local, of: &ResourceRef) -> Result<Self> {
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
        Ok(Self {
            file: local.open_data(of, size)?,
            size,
        })
    }
}

impl Make {
    /// Refuses what has no room.
    pub(crate) fn require_space(&self, local: &Local) -> Result<()> {
        let Some(from) = &self.from else {
            return Ok(());
        };
        let path = local.folder.path(self.area, &self.name);
        let stat = fstat(&from.file).map_err(|source| storage("look at", &path, source))?;
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        local.require_space(allocated, Method::Share)
    }

    /// Bytes to go through.
    pub(crate) fn total(&self) -> u64 {
        self.from.as_ref().map_or(0, |from| from.size)
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
        let path = folder.path(Area::Staged, data);
        let file = match &self.from {
            Some(from) => {
                local
                    .copy_staged(
                        &from.file,
                        data,
                        from.size,
                        Method::Share,
                        Over::Durable,
                        job,
                    )?
                    .0
            }
            None => folder.stage(data)?,
        };
        failpoint::reached(Step::Use)
            .and_then(|()| file.set_len(self.size))
            .map_err(|source| storage("extend", &path, source))?;
        if let Some(like) = &self.replaces {
            take_after(&file, like)
                .map_err(|source| storage("give its owner and rights to", &path, source))?;
        }
        failpoint::did(|| Did::Filled(&file));
        folder.sync_file(&file, Area::Staged, data)?;
        let (records, record_name, record) = &self.record;
        folder.stage_bytes(json, record)?;
        let replace = self.replaces.is_some();
        let moves = vec![
            Move::new(folder, data.clone(), self.area, self.name.clone(), replace)?,
            // A volume that was removed by hand may have left its record.
            Move::new(folder, json.clone(), *records, record_name.clone(), true)?,
        ];
        job.go_on().map_err(|_| cancelled())?;
        let _records = local.records();
        publish(folder, &self.key, moves)
    }
}

/// Gives a file the owner and the rights of another: who could open that one can open it.
fn take_after(file: &File, like: &Stat) -> rustix::io::Result<()> {
    let now = fstat(file)?;
    if (now.st_uid, now.st_gid) != (like.st_uid, like.st_gid) {
        let owner = Uid::from_raw(like.st_uid);
        fchown(file, Some(owner), Some(Gid::from_raw(like.st_gid)))?;
    }
    fchmod(file, Mode::from_raw_mode(like.st_mode))
}

/// The name asked for where it makes an id that nobody has, and otherwise the key.
///
/// Names need not be unique nor even file names; keys are both.
pub(crate) fn free_id(
    local: &Local,
    kind: ResourceKind,
    name: &str,
    key: &OperationKey,
) -> Result<String> {
    for id in [name, key.as_str()] {
        let taken = || match kind {
            ResourceKind::Volume => local.folder.stat(Area::Top, id),
            ResourceKind::Image => local.folder.stat(Area::Images, &file_name(id)),
            _ => local.folder.stat(Area::Instances, &file_name(id)),
        };
        if is_file_name(id) && taken()?.is_none() {
            return Ok(id.to_owned());
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("both `{name}` and `{key}` are there already"),
    )
    .advise("Choose another name"))
}
