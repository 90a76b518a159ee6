//! Deleting: into `deleted/`, then the record, then the file.
//!
//! The first move decides it and needs no space, since a full disk is when deleting matters most;
//! what a crash leaves there the next open finishes.

use rustix::fs::Stat;
use stillpoint_core::{Error, ErrorKind, ResourceKind, Result};

use crate::entity::{ImageRecord, SnapshotRecord, VolumeRecord, data_file};
use crate::folder::{Area, Folder};
use crate::ids::data_area;
use crate::record::Record;

/// Deletes the bytes and the record of a volume, snapshot or image.
pub(crate) fn delete(folder: &Folder, kind: ResourceKind, id: &str) -> Result<()> {
    let Some(area) = data_area(kind) else {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("a {kind} has no bytes"),
        ));
    };
    let data = data_name(kind, id);
    if folder.stat(area, &data)?.is_some() {
        let deleted = format!("{kind}.{id}");
        folder.rename((area, &data), (Area::Deleted, &deleted), true)?;
        // Once the old name is surely gone, the new one is surely there.
        folder.sync(area)?;
    }
    finish(folder, kind, id)
}

fn data_name(kind: ResourceKind, id: &str) -> String {
    match kind {
        ResourceKind::Volume => id.to_owned(),
        _ => data_file(id),
    }
}

/// Finishes what an earlier process began.
pub(crate) fn finish_all(folder: &Folder) -> Result<()> {
    for name in folder.names(Area::Deleted)? {
        match name.split_once('.') {
            Some((kind, id)) => {
                let kind = kind.parse()?;
                finish_rename(folder, kind, id, &name)?;
                finish(folder, kind, id)?;
            }
            None => {
                folder.remove(Area::Deleted, &name)?;
            }
        }
    }
    Ok(())
}

/// A power loss can cut a rename in two, where the file system keeps no journal: then the file
/// has its old name still. Another file of that name is not ours to remove.
fn finish_rename(folder: &Folder, kind: ResourceKind, id: &str, deleted: &str) -> Result<()> {
    let Some(area) = data_area(kind) else {
        return Ok(());
    };
    let data = data_name(kind, id);
    let inode = |stat: Stat| stat.st_ino;
    let there = folder.stat(area, &data)?.map(inode);
    if there.is_some() && there == folder.stat(Area::Deleted, deleted)?.map(inode) {
        folder.remove(area, &data)?;
        folder.sync(area)?;
    }
    Ok(())
}

fn finish(folder: &Folder, kind: ResourceKind, id: &str) -> Result<()> {
    match kind {
        ResourceKind::Image => remove_record::<ImageRecord>(folder, id)?,
        ResourceKind::Snapshot => remove_record::<SnapshotRecord>(folder, id)?,
        _ => remove_record::<VolumeRecord>(folder, id)?,
    }
    folder.remove(Area::Deleted, &format!("{kind}.{id}"))?;
    Ok(())
}

fn remove_record<R: Record>(folder: &Folder, id: &str) -> Result<()> {
    folder.remove_record::<R>(id)
}
