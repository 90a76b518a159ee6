use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};

use crate::claims::Claimed;
use crate::failpoint::{self, Did, Step};
use crate::failure::storage;
use crate::folder::Area;
use crate::inventory::missing;
use crate::local::Local;
use crate::source::require_unwritten;

/// Volumes open for writing through us: from the first write to the flush, or to the next
/// operation on the volume.
///
/// Who else has the file open is asked once a session, not once a write.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<ResourceRef, Arc<Session>>>);

#[derive(Debug)]
struct Session {
    file: File,
    size: u64,
    _claimed: Claimed,
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, HashMap<ResourceRef, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the volume's session, so that an operation can claim it.
    pub(crate) fn end(&self, volume: &ResourceRef) {
        self.open().remove(volume);
    }
}

pub(crate) fn write(local: &Local, to: &ResourceRef, offset: u64, bytes: &[u8]) -> Result<()> {
    let session = session(local, to)?;
    let end = offset.checked_add(bytes.len() as u64);
    if end.is_none_or(|end| end > session.size) {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{} bytes at {offset} reach beyond its {} bytes",
                bytes.len(),
                session.size
            ),
        )
        .on(to.clone())
        .advise("Make the volume large enough first"));
    }
    failpoint::reached(Step::Use)
        .and_then(|()| session.file.write_all_at(bytes, offset))
        .map_err(|source| {
            storage("write", &local.folder.path(Area::Top, to.id()), source)
                .on(to.clone())
                .leaving(World::Changed)
        })?;
    failpoint::did(|| Did::Filled(&session.file));
    Ok(())
}

pub(crate) fn flush(local: &Local, volume: &ResourceRef) -> Result<()> {
    let id = local.id(volume, ResourceKind::Volume)?;
    let session = local.sessions.open().remove(volume);
    let synced = match session {
        Some(session) => local.folder.sync_file(&session.file, Area::Top, id),
        None => {
            let file = local.folder.open_file(Area::Top, id, false)?;
            local.folder.sync_file(&file, Area::Top, id)
        }
    };
    synced.map_err(|error| error.on(volume.clone()).leaving(World::Unknown))
}

fn session(local: &Local, volume: &ResourceRef) -> Result<Arc<Session>> {
    let id = local.id(volume, ResourceKind::Volume)?;
    let mut open = local.sessions.open();
    if let Some(session) = open.get(volume) {
        return Ok(Arc::clone(session));
    }
    let claimed = local.claims.claim(&[], &[volume])?;
    let stat = local
        .folder
        .stat(Area::Top, id)?
        .ok_or_else(|| missing(volume))?;
    require_unwritten(&stat, volume)?;
    let file = local
        .folder
        .open_file(Area::Top, id, true)
        .map_err(|error| error.on(volume.clone()))?;
    let size = file
        .metadata()
        .map_err(|source| storage("look at", &local.folder.path(Area::Top, id), source))?
        .len();
    let session = Arc::new(Session {
        file,
        size,
        _claimed: claimed,
    });
    open.insert(volume.clone(), Arc::clone(&session));
    Ok(session)
}
