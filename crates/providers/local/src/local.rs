use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Stat, fstatvfs};
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};

use crate::claims::Claims;
use crate::copy::{Method, Over, clone, copy};
use crate::entity::data_file;
use crate::failure::{corrupt, storage};
use crate::folder::{Area, Folder};
use crate::freezer::Freezer;
use crate::freezes::Freezes;
use crate::ids::{data_area, file_name_of};
use crate::jobs::{Job, Jobs};
use crate::recovery;
use crate::sessions::Sessions;

/// An open folder with all that this process knows of it.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) name: String,
    pub(crate) folder: Folder,
    /// Whether the file system shares blocks between files.
    pub(crate) reflinks: bool,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) freezes: Arc<Freezes>,
    /// Volumes being written through us.
    pub(crate) sessions: Sessions,
    /// Held while records are read or changed, so that no reader sees half of a group.
    records: Mutex<()>,
}

const PROBES: [&str; 2] = [".probe-0", ".probe-1"];

impl Local {
    pub(crate) fn open(name: &str, path: &Path, freezer: Option<Arc<dyn Freezer>>) -> Result<Self> {
        ResourceRef::new(name, ResourceKind::Volume, "x")?;
        let folder = Folder::open(path)?;
        recovery::recover(&folder)?;
        let reflinks = probe(&folder)?;
        Ok(Self {
            name: name.to_owned(),
            folder,
            reflinks,
            jobs: Arc::default(),
            claims: Arc::default(),
            freezes: Arc::new(Freezes::new(freezer)),
            sessions: Sessions::default(),
            records: Mutex::new(()),
        })
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, ()> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reference(&self, kind: ResourceKind, id: &str) -> Result<ResourceRef> {
        ResourceRef::new(self.name.as_str(), kind, id)
    }

    /// The id of a resource that is ours to have and of the kind that belongs there.
    pub(crate) fn id<'a>(&self, resource: &'a ResourceRef, kind: ResourceKind) -> Result<&'a str> {
        if resource.provider() != self.name {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("it is not of the provider `{}`", self.name),
            )
            .on(resource.clone())
            .advise("Ask the provider that its name begins with"));
        }
        if resource.kind() != kind {
            return Err(Error::new(ErrorKind::Invalid, format!("{kind} expected"))
                .on(resource.clone())
                .advise(format!("Give the name of one: {}/{kind}/…", self.name)));
        }
        file_name_of(resource)
    }

    /// The file with the bytes of a snapshot or image, which must be as long as its record says.
    pub(crate) fn open_data(&self, of: &ResourceRef, size: u64) -> Result<File> {
        let area = data_area(of.kind()).unwrap_or(Area::Snapshots);
        let name = data_file(file_name_of(of)?);
        let advice = "Delete it: its bytes are lost. Other snapshots are not affected";
        let path = self.folder.path(area, &name);
        if self.folder.stat(area, &name)?.is_none() {
            return Err(corrupt(&path, "is missing", advice).on(of.clone()));
        }
        let file = self.folder.open_file(area, &name, false)?;
        let found = file
            .metadata()
            .map_err(|source| storage("look at", &path, source))?
            .len();
        if found != size {
            let what = format!("has {found} bytes instead of {size}");
            return Err(corrupt(&path, what, advice).on(of.clone()));
        }
        Ok(file)
    }

    /// Refuses what cannot fit, before anything is touched.
    pub(crate) fn require_space(&self, bytes: u64, method: Method) -> Result<()> {
        if method == Method::Share && self.reflinks {
            return Ok(());
        }
        let space = fstatvfs(self.folder.fd(Area::Top))
            .map_err(|source| storage("look at", &self.folder.path(Area::Top, ""), source))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Quota,
            format!(
                "{bytes} bytes are to be copied and `{}` has room for {free}",
                self.folder.path(Area::Top, "").display()
            ),
        )
        .advise("Free space on its file system or delete snapshots, then try again"))
    }

    /// Copies into a new staged file, which is not durable yet.
    pub(crate) fn copy_staged(
        &self,
        from: &File,
        staged: &str,
        size: u64,
        method: Method,
        over: Over,
        job: &Job,
    ) -> Result<(File, stillpoint_core::CopyKind)> {
        let to = self.folder.stage(staged)?;
        let kind = copy(from, &to, size, method, over, job).map_err(|source| {
            if job.is_stopped() {
                return cancelled();
            }
            storage("copy to", &self.folder.path(Area::Staged, staged), source)
        })?;
        Ok((to, kind))
    }

    /// Removes all that an operation that failed has staged.
    pub(crate) fn unstage(&self, names: &[String], error: Error) -> Error {
        if error.world() != World::Untouched {
            return error;
        }
        for name in names {
            // What cannot be removed now, the next open removes.
            if self.folder.remove(Area::Staged, name).is_err() {
                return error.leaving(World::Unknown);
            }
        }
        error.leaving(World::RolledBack)
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "it was stopped").advise("Start it again if it is wanted")
}

pub(crate) fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Whether the file system shares blocks: asked with two empty files, since a full one must
/// still be opened.
fn probe(folder: &Folder) -> Result<bool> {
    let probed = folder.stage(PROBES[0]).and_then(|from| {
        let to = folder.stage(PROBES[1])?;
        clone(&from, &to)
            .map_err(|source| storage("clone", &folder.path(Area::Staged, PROBES[1]), source))
    });
    for name in PROBES {
        folder.remove(Area::Staged, name)?;
    }
    match probed {
        Err(error) if error.kind() == ErrorKind::Quota => Ok(false),
        other => other,
    }
}
