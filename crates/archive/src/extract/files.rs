use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, fchmod, ftruncate, mkdirat, openat, syncfs};
use rustix::io::Errno;

use super::past::Past;
use crate::direct::SMALLEST;
use crate::read::Unpacked;
use crate::verify::Take;
use crate::{Archive, Error, Kind, Result};

/// Writes what is unpacked below an open folder.
pub(super) struct Files {
    archive: Archive,
    root: OwnedFd,
    /// Open folders by path; forgotten when there are many.
    folders: Mutex<HashMap<Box<str>, Arc<OwnedFd>>>,
    /// Large files on their way, and the bytes they still miss.
    large: Mutex<HashMap<usize, (Arc<Large>, u64)>>,
    past: Past,
}

/// A file that is written in pieces.
struct Large {
    file: File,
    /// The same one past the page cache, where it is large enough for that.
    direct: Option<File>,
}

/// Folders that are kept open.
const OPEN_FOLDERS: usize = 128;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    pub(super) fn new(archive: Archive, root: &Path) -> Result<Self> {
        let root = openat(CWD, root, folder_flags(), Mode::empty())
            .map_err(|e| Error::io(format!("opening {}", root.display()))(e.into()))?;
        Ok(Files {
            archive,
            root,
            folders: Mutex::default(),
            large: Mutex::default(),
            past: Past::default(),
        })
    }

    /// Makes a directory and those above it.
    pub(super) fn directory(&self, path: &str) -> Result<()> {
        self.folder(path.trim_end_matches('/')).map(drop)
    }

    /// Applies what had to wait, and flushes if asked.
    pub(super) fn finish(&self, durable: bool) -> Result<()> {
        lock(&self.folders).clear();
        // Deepest first: a folder may forbid what its children still need.
        let directories = self
            .archive
            .entries()
            .filter(|view| view.kind() == Kind::Directory);
        let mut directories: Vec<_> = directories.filter(|view| !view.is_own()).collect();
        directories.sort_unstable_by_key(|view| std::cmp::Reverse(view.path().len()));
        for view in directories {
            if let Some(folder) = self.existing(view.path().trim_end_matches('/'))? {
                fchmod(&folder, Mode::from_raw_mode(view.mode())).map_err(failed(view.path()))?;
            }
        }
        if durable {
            syncfs(&self.root).map_err(failed("the staging folder"))?;
        }
        Ok(())
    }

    /// Opens a folder, component by component, following no links; makes what is missing.
    fn folder(&self, path: &str) -> Result<Arc<OwnedFd>> {
        if let Some(open) = lock(&self.folders).get(path) {
            return Ok(Arc::clone(open));
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = if parent.is_empty() {
            None
        } else {
            Some(self.folder(parent)?)
        };
        let above = above.as_deref().unwrap_or(&self.root);
        match mkdirat(above, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(failed(path)(e)),
        }
        let folder = openat(above, name, folder_flags(), Mode::empty()).map_err(failed(path))?;
        let folder = Arc::new(folder);
        let mut folders = lock(&self.folders);
        if folders.len() >= OPEN_FOLDERS {
            folders.clear();
        }
        folders.insert(Box::from(path), Arc::clone(&folder));
        Ok(folder)
    }

    /// A folder that was made; none if it was left out.
    fn existing(&self, path: &str) -> Result<Option<OwnedFd>> {
        let mut folder = self
            .root
            .try_clone()
            .map_err(Error::io("opening a folder"))?;
        for name in path.split('/') {
            folder = match openat(&folder, name, folder_flags(), Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(failed(path)(e)),
            };
        }
        Ok(Some(folder))
    }

    fn create(&self, path: &str) -> Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(0o600);
        let created = match path.rsplit_once('/') {
            None => openat(&self.root, path, flags | OFlags::CLOEXEC, mode),
            Some((parent, name)) => {
                openat(&*self.folder(parent)?, name, flags | OFlags::CLOEXEC, mode)
            }
        };
        created.map(File::from).map_err(failed(path))
    }

    fn large(&self, index: usize) -> Result<Arc<Large>> {
        let mut large = lock(&self.large);
        if let Some((made, _)) = large.get(&index) {
            return Ok(Arc::clone(made));
        }
        let view = self.archive.view(index);
        let file = self.create(view.path())?;
        ftruncate(&file, view.size()).map_err(failed(view.path()))?;
        let direct = match view.size() >= SMALLEST {
            true => crate::direct::reopen(&file),
            false => None,
        };
        let made = Arc::new(Large { file, direct });
        large.insert(index, (Arc::clone(&made), view.size()));
        Ok(made)
    }
}

impl Take for Files {
    fn part(&self, index: usize, offset: u64, bytes: &Unpacked) -> Result<()> {
        let view = self.archive.view(index);
        let made = self.large(index)?;
        let length = bytes.as_slice().len() as u64;
        // The file was made as one hole.
        if let Unpacked::Bytes(bytes) = bytes {
            let written = match &made.direct {
                Some(direct) => self.past.write(direct, &made.file, bytes, offset),
                None => made.file.write_all_at(bytes, offset),
            };
            written.map_err(Error::io(format!("writing {}", view.path())))?;
        }
        let mut large = lock(&self.large);
        let (_, missing) = large.get_mut(&index).expect("made above");
        *missing = missing.saturating_sub(length);
        if *missing == 0 {
            large.remove(&index);
            drop(large);
            fchmod(&made.file, Mode::from_raw_mode(view.mode())).map_err(failed(view.path()))?;
        }
        Ok(())
    }

    fn whole(&self, index: usize, bytes: &[u8]) -> Result<()> {
        let view = self.archive.view(index);
        if view.kind() == Kind::Directory {
            return Ok(());
        }
        let file = self.create(view.path())?;
        file.write_all_at(bytes, 0)
            .map_err(Error::io(format!("writing {}", view.path())))?;
        fchmod(&file, Mode::from_raw_mode(view.mode())).map_err(failed(view.path()))
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn failed(path: &str) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |e| Error::io(format!("extracting {path}"))(e.into())
}
