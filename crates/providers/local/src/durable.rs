//! Every change of the folder is made here, and nowhere else.

use std::fs::File;
use std::io::{self, Write};
use std::panic::Location;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, fsync, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::failpoint::{self, Did, Step};
use crate::failure::storage;
use crate::folder::{Area, Folder};

impl Folder {
    /// Makes an empty file to fill in, in place of one that a failed attempt left.
    pub(crate) fn stage(&self, name: &str) -> Result<File> {
        let problem = |source| storage("make", &self.path(Area::Staged, name), source);
        failpoint::reached(Step::Use).map_err(problem)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.fd(Area::Staged), name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|source| problem(source.into()))?;
        failpoint::did(|| Did::Named(self.path(Area::Staged, name), &file));
        Ok(file)
    }

    /// Stages a whole small file, durably.
    #[cfg_attr(feature = "failpoint", track_caller)]
    pub(crate) fn stage_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.stage(name)?;
        failpoint::reached(Step::Use)
            .and_then(|()| file.write_all(bytes))
            .map_err(|source| storage("write", &self.path(Area::Staged, name), source))?;
        failpoint::did(|| Did::Filled(&file));
        self.sync_file(&file, Area::Staged, name)
    }

    /// Returns once the file's bytes and size survive a power loss.
    #[cfg_attr(feature = "failpoint", track_caller)]
    pub(crate) fn sync_file(&self, file: &File, area: Area, name: &str) -> Result<()> {
        let site = Location::caller();
        failpoint::reached(Step::Use)
            .and_then(|()| flush(file, "file", site))
            .map_err(|source| storage("sync", &self.path(area, name), source))?;
        failpoint::did(|| Did::SyncedFile(file, site));
        Ok(())
    }

    /// Returns once the names in an area survive a power loss.
    #[cfg_attr(feature = "failpoint", track_caller)]
    pub(crate) fn sync(&self, area: Area) -> Result<()> {
        let site = Location::caller();
        failpoint::reached(Step::Free)
            .and_then(|()| flush(self.fd(area), "names", site))
            .map_err(|source| storage("sync", &self.path(area, ""), source))?;
        failpoint::did(|| Did::SyncedNames(self.path(area, ""), site));
        Ok(())
    }

    /// Moves a file. Where the new name is taken, that is a conflict or, with `replace`, its end.
    pub(crate) fn rename(&self, from: (Area, &str), to: (Area, &str), replace: bool) -> Result<()> {
        let problem = |source| storage("move a file to", &self.path(to.0, to.1), source);
        failpoint::reached(Step::Use).map_err(problem)?;
        let flags = if replace {
            RenameFlags::empty()
        } else {
            RenameFlags::NOREPLACE
        };
        match renameat_with(self.fd(from.0), from.1, self.fd(to.0), to.1, flags) {
            Ok(()) => {
                failpoint::did(|| Did::Moved {
                    from: self.path(from.0, from.1),
                    to: self.path(to.0, to.1),
                });
                Ok(())
            }
            Err(Errno::EXIST) => Err(Error::new(
                ErrorKind::Conflict,
                format!("`{}` exists already", self.path(to.0, to.1).display()),
            )
            .advise("Choose another name, or remove that file first")),
            Err(source) => Err(problem(source.into())),
        }
    }

    /// Removes a name; one that is gone is a success, and false.
    pub(crate) fn remove(&self, area: Area, name: &str) -> Result<bool> {
        let problem = |source| storage("remove", &self.path(area, name), source);
        failpoint::reached(Step::Free).map_err(problem)?;
        match unlinkat(self.fd(area), name, AtFlags::empty()) {
            Ok(()) => {
                failpoint::did(|| Did::Removed(self.path(area, name)));
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(source) => Err(problem(source.into())),
        }
    }
}

/// Makes a file's bytes, or a folder's names, survive a power loss.
pub(crate) fn flush(of: impl AsFd, what: &str, site: &'static Location<'static>) -> io::Result<()> {
    if failpoint::leaves_out(what, site) {
        return Ok(());
    }
    Ok(fsync(of)?)
}
