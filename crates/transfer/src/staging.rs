//! Where an archive is while it is on its way: a folder of its job's own, beside where it goes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Result, Retry};

const ARCHIVE: &str = "archive.zip";
const LOCK: &str = "lock";

/// The staging folder of a job.
#[derive(Clone, Debug)]
pub(crate) struct Staging {
    folder: PathBuf,
}

/// The staging folder, and nobody else is in it.
#[derive(Debug)]
pub(crate) struct Entered {
    // Free again when it is dropped, and when the process dies.
    _lock: File,
}

impl Staging {
    /// That of a job, in this folder.
    pub(crate) fn of(job: &str, within: &Path) -> Self {
        Self {
            folder: within.join(format!(".stillpoint-{job}")),
        }
    }

    /// The archive, which has its name once it is whole.
    pub(crate) fn archive(&self) -> PathBuf {
        self.folder.join(ARCHIVE)
    }

    /// Makes the folder, and removes what an earlier attempt had only begun.
    ///
    /// An attempt of this process that was given up may still run: it is waited for.
    pub(crate) fn enter(&self) -> Result<Entered> {
        let failed = |source: io::Error| Error::io(self.named("making"), &source);
        match fs::create_dir(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(source));
            }
            _ => {}
        }
        let lock = File::create(self.folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = self.named("an earlier attempt has not ended yet in");
                return Err(Error::new(ErrorKind::Busy, message)
                    .retry_with(Retry::After(Duration::from_millis(200)))
                    .advise("Wait for it"));
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let failed = |source: io::Error| Error::io(self.named("clearing"), &source);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name != ARCHIVE && name != LOCK {
                fs::remove_file(self.folder.join(name)).map_err(failed)?;
            }
        }
        Ok(Entered { _lock: lock })
    }

    /// Removes the folder and all that is in it. One that is gone is a success.
    pub(crate) fn remove(&self) -> Result<()> {
        let failed = |source: io::Error| Error::io(self.named("removing"), &source);
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(source)),
            _ => Ok(()),
        }
    }

    fn named(&self, doing: &str) -> String {
        format!("{doing} {}", self.folder.display())
    }
}

/// Gives a file another name in the same file system, unless that is taken, and makes it durable.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let failed = |source: io::Error| Error::io(format_args!("naming {}", to.display()), &source);
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // Not every file system knows the flag; a link is never made over a name, either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to).map_err(failed)?;
            fs::remove_file(from).map_err(failed)?;
        }
        Err(source) => return Err(failed(source.into())),
    }
    sync_folder_of(to)
}

/// Removes a file for good. One that is gone is a success.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io(
            format_args!("removing {}", path.display()),
            &source,
        )),
        Ok(()) => sync_folder_of(path),
    }
}

/// Makes what stands in the folder of a file durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| Error::io(format_args!("flushing {}", folder.display()), &source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_is_in_it_and_finds_no_leftovers() {
        let top = tempfile::tempdir().unwrap();
        let staging = Staging::of("job", top.path());
        let entered = staging.enter().unwrap();
        fs::write(staging.folder.join(".archive.zip.x.part"), "half").unwrap();
        fs::write(staging.archive(), "whole").unwrap();
        assert_eq!(staging.enter().unwrap_err().kind(), ErrorKind::Busy);
        drop(entered);
        let _entered = staging.enter().unwrap();
        assert!(!staging.folder.join(".archive.zip.x.part").exists());
        assert_eq!(fs::read(staging.archive()).unwrap(), b"whole");
        staging.remove().unwrap();
        staging.remove().unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_renamed_over() {
        let top = tempfile::tempdir().unwrap();
        let (from, to) = (top.path().join("a"), top.path().join("b"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let error = rename_new(&from, &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(fs::read(&to).unwrap(), b"old");
        remove_file(&to).unwrap();
        rename_new(&from, &to).unwrap();
        assert!(!from.exists() && to.exists());
        remove_file(&from).unwrap();
    }
}
