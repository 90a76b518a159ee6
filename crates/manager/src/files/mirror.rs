//! A second folder, made equal to a first one: by reflinks where there are any, and copying again
//! only what is not equal yet.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{SeekFrom, ioctl_ficlone};
use rustix::io::Errno;
use stillpoint_core::{Error, ErrorKind, Result};

use super::looking;
use crate::remove::remove;
use crate::site::Site;

/// A folder, and its copy.
pub(super) struct Mirror {
    from: PathBuf,
    to: PathBuf,
    skip: BTreeSet<String>,
    site: Site,
}

impl Mirror {
    /// `to` is to be as `from`, without these names at its top.
    pub(super) fn new(from: &Path, to: &Path, skip: &BTreeSet<String>, site: &Site) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            skip: skip.clone(),
            site: site.clone(),
        }
    }

    /// Makes it equal. Whether all that was copied was reflinked; where nothing was, that too.
    pub(super) fn copy(&self) -> Result<bool> {
        let mut all = true;
        self.folder(&self.from, &self.to, true, &mut all)?;
        Ok(all)
    }

    fn folder(&self, from: &Path, to: &Path, top: bool, all: &mut bool) -> Result<()> {
        self.site.check()?;
        let about = fs::symlink_metadata(from).map_err(looking(from))?;
        match fs::create_dir(to) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(format_args!("making {}", to.display()), &source));
            }
            _ => {}
        }
        // So that it can be filled, whatever its own mode is.
        set_mode(to, 0o700)?;
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(from).map_err(looking(from))? {
            let name = entry.map_err(looking(from))?.file_name();
            if top && self.skip.contains(&*name.to_string_lossy()) {
                continue;
            }
            self.entry(&from.join(&name), &to.join(&name), all)?;
            names.insert(name);
        }
        for entry in fs::read_dir(to).map_err(looking(to))? {
            let entry = entry.map_err(looking(to))?;
            if !names.contains(&entry.file_name()) {
                remove(&entry.path())?;
            }
        }
        set_mode(to, about.mode() & 0o7777)?;
        set_times(to, &about)
    }

    fn entry(&self, from: &Path, to: &Path, all: &mut bool) -> Result<()> {
        let about = fs::symlink_metadata(from).map_err(looking(from))?;
        let there = fs::symlink_metadata(to).ok();
        let kind = about.file_type();
        if there.as_ref().is_some_and(|it| it.file_type() != kind) {
            remove(to)?;
        }
        if kind.is_dir() {
            return self.folder(from, to, false, all);
        }
        if kind.is_symlink() {
            let target = fs::read_link(from).map_err(looking(from))?;
            if there.is_some() {
                remove(to)?;
            }
            return symlink(&target, to)
                .map_err(|source| Error::io(format_args!("linking {}", to.display()), &source));
        }
        if !kind.is_file() {
            let message = format!("{} is neither file, folder nor link", from.display());
            return Err(
                Error::new(ErrorKind::Unsupported, message).advise("Remove it, or leave it out")
            );
        }
        let same = there.is_some_and(|it| {
            it.is_file()
                && it.size() == about.size()
                && (it.mtime(), it.mtime_nsec()) == (about.mtime(), about.mtime_nsec())
                && it.mode() == about.mode()
        });
        if same {
            return Ok(());
        }
        self.site.check()?;
        let _ = fs::remove_file(to);
        *all &= self.file(from, to, about.size())?;
        set_mode(to, about.mode() & 0o7777)?;
        set_times(to, &about)
    }

    /// Copies one file; whether by a reflink.
    fn file(&self, from: &Path, to: &Path, size: u64) -> Result<bool> {
        let source = File::open(from).map_err(looking(from))?;
        let target = File::create_new(to)
            .map_err(|source| Error::io(format_args!("making {}", to.display()), &source))?;
        match ioctl_ficlone(&target, &source) {
            Ok(()) => return Ok(true),
            Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {}
            Err(errno) => {
                return Err(Error::io(
                    format_args!("copying {}", from.display()),
                    &errno.into(),
                ));
            }
        }
        copy_data(&source, &target, size)
            .map_err(|source| Error::io(format_args!("copying {}", from.display()), &source))?;
        Ok(false)
    }
}

/// Copies what is data, and leaves holes as they are.
fn copy_data(source: &File, target: &File, size: u64) -> io::Result<()> {
    target.set_len(size)?;
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(data))
            .unwrap_or(size)
            .min(size);
        rustix::fs::seek(source, SeekFrom::Start(data))?;
        rustix::fs::seek(target, SeekFrom::Start(data))?;
        io::copy(&mut source.take(end.saturating_sub(data)), &mut &*target)?;
        at = end.max(data + 1);
    }
    Ok(())
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|source| {
        Error::io(
            format_args!("setting the mode of {}", path.display()),
            &source,
        )
    })
}

fn set_times(path: &Path, about: &fs::Metadata) -> Result<()> {
    let failed = |source| {
        Error::io(
            format_args!("setting the time of {}", path.display()),
            &source,
        )
    };
    let modified = about.modified().map_err(failed)?;
    set_time(path, modified)
}

/// Sets when something that is no link was modified.
pub(super) fn set_time(path: &Path, modified: std::time::SystemTime) -> Result<()> {
    let failed = |source| {
        Error::io(
            format_args!("setting the time of {}", path.display()),
            &source,
        )
    };
    let times = FileTimes::new()
        .set_modified(modified)
        .set_accessed(modified);
    File::open(path)
        .and_then(|file| file.set_times(times))
        .map_err(failed)
}

/// Whether a file has these bytes somewhere in it.
pub(super) fn contains(path: &Path, wanted: &[u8]) -> Result<bool> {
    let mut file = File::open(path).map_err(looking(path))?;
    let mut buffer = vec![0; 1 << 20];
    let mut held = 0;
    loop {
        let read = file.read(&mut buffer[held..]).map_err(looking(path))?;
        if read == 0 {
            return Ok(false);
        }
        let end = held + read;
        if buffer[..end].windows(wanted.len()).any(|it| it == wanted) {
            return Ok(true);
        }
        // What stands across two pieces is found in the second.
        held = end.min(wanted.len() - 1);
        buffer.copy_within(end - held..end, 0);
    }
}
