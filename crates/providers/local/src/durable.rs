//! Every change of the folder is made here, and nowhere else.

use std::fs::File;
use std::io::Write;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, fsync, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::failpoint::{self, Step};
use crate::failure::storage;
use crate::folder::{Area, Folder};

impl Folder {
    /// Makes an empty file to fill in, in place of one that a failed attempt left.
    pub(crate) fn stage(&self, name: &str) -> Result<File> {
        let problem = |source| storage("make", &self.path(Area::Staged, name), source);
        failpoint::reached(Step::Use).map_err(problem)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(self.fd(Area::Staged), name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|source| problem(source.into()))
    }

    /// Stages a whole small file, durably.
    pub(crate) fn stage_bytes(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.stage(name)?;
        failpoint::reached(Step::Use)
            .and_then(|()| file.write_all(bytes))
            .map_err(|source| storage("write", &self.path(Area::Staged, name), source))?;
        self.sync_file(&file, Area::Staged, name)
    }

    /// Returns once the file's bytes and size survive a power loss.
    pub(crate) fn sync_file(&self, file: &File, area: Area, name: &str) -> Result<()> {
        failpoint::reached(Step::Use)
            .and_then(|()| Ok(fsync(file)?))
            .map_err(|source| storage("sync", &self.path(area, name), source))
    }

    /// Returns once the names in an area survive a power loss.
    pub(crate) fn sync(&self, area: Area) -> Result<()> {
        failpoint::reached(Step::Free)
            .and_then(|()| Ok(fsync(self.fd(area))?))
            .map_err(|source| storage("sync", &self.path(area, ""), source))
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
            Ok(()) => Ok(()),
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
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(source) => Err(problem(source.into())),
        }
    }
}
