use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::durable::flush;
use crate::failpoint::{self, Did};
use crate::failure::storage;
use crate::lock;

/// The folder that is open, with a descriptor for each of its areas.
///
/// Every name that reaches it is one path component, opened relative to a descriptor without
/// following links: so nothing outside can be reached, even where `openat2` is filtered away.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    areas: Vec<OwnedFd>,
    // Closing it releases the lock.
    _lock: OwnedFd,
}

/// Where in the folder a file is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Area {
    /// Publications that are decided and perhaps not complete.
    Commits,
    /// Files on their way out.
    Deleted,
    Images,
    Instances,
    Snapshots,
    /// Files on their way in, named after their operation's key.
    Staged,
    /// The top of the folder: the volumes themselves.
    Top,
    /// What we know of volumes beside their bytes.
    Volumes,
}

impl Area {
    const ALL: [Self; 8] = [
        Self::Commits,
        Self::Deleted,
        Self::Images,
        Self::Instances,
        Self::Snapshots,
        Self::Staged,
        Self::Top,
        Self::Volumes,
    ];

    const fn directory(self) -> &'static str {
        match self {
            Self::Commits => "commits",
            Self::Deleted => "deleted",
            Self::Images => "images",
            Self::Instances => "instances",
            Self::Snapshots => "snapshots",
            Self::Staged => "staged",
            Self::Top => ".",
            Self::Volumes => "volumes",
        }
    }
}

/// Where all that is ours is kept.
pub(crate) const OURS: &str = ".stillpoint";

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let top = directory(CWD, path, path)?;
        let ours_path = path.join(OURS);
        make_directory(&top, OURS, &ours_path)?;
        let ours = directory(&top, Path::new(OURS), &ours_path)?;
        let lock = lock::take(&ours, &ours_path)?;
        let mut areas = Vec::new();
        for area in Area::ALL {
            areas.push(match area {
                Area::Top => top
                    .try_clone()
                    .map_err(|source| storage("open", path, source))?,
                _ => {
                    let name = area.directory();
                    make_directory(&ours, name, &ours_path.join(name))?;
                    directory(&ours, Path::new(name), &ours_path.join(name))?
                }
            });
        }
        let folder = Self {
            path: path.to_owned(),
            areas,
            _lock: lock,
        };
        // The areas themselves must survive before anything is kept in them.
        let site = Location::caller();
        flush(&ours, "names", site).map_err(|source| storage("sync", &ours_path, source))?;
        failpoint::did(|| Did::SyncedNames(ours_path, site));
        folder.sync(Area::Top)?;
        Ok(folder)
    }

    /// Where a file is, for a person.
    pub(crate) fn path(&self, area: Area, name: &str) -> PathBuf {
        match area {
            Area::Top => self.path.join(name),
            _ => self.path.join(OURS).join(area.directory()).join(name),
        }
    }

    pub(crate) fn fd(&self, area: Area) -> &OwnedFd {
        &self.areas[area as usize]
    }

    /// The file's state, a link's own and not its target's; none where there is no such name.
    pub(crate) fn stat(&self, area: Area, name: &str) -> Result<Option<Stat>> {
        match statat(self.fd(area), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(storage("look at", &self.path(area, name), source)),
        }
    }

    /// Opens a regular file, and nothing else.
    pub(crate) fn open_file(&self, area: Area, name: &str, write: bool) -> Result<File> {
        let path = self.path(area, name);
        let stat = self
            .stat(area, name)?
            .ok_or_else(|| storage("open", &path, Errno::NOENT))?;
        require_regular(&stat, &path)?;
        let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
        // NONBLOCK: should it have become a pipe just now, opening must not wait for a writer.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(self.fd(area), name, flags, Mode::empty())
            .map_err(|source| storage("open", &path, source))?;
        let stat = rustix::fs::fstat(&file).map_err(|source| storage("look at", &path, source))?;
        require_regular(&stat, &path)?;
        Ok(File::from(file))
    }

    /// The names in an area, sorted; those that are not UTF-8 are left out.
    pub(crate) fn names(&self, area: Area) -> Result<Vec<String>> {
        let problem = |source| storage("list", &self.path(area, ""), source);
        let mut names = Vec::new();
        for entry in Dir::read_from(self.fd(area)).map_err(problem)? {
            let entry = entry.map_err(problem)?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

pub(crate) fn require_regular(stat: &Stat, path: &Path) -> Result<()> {
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a folder",
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Fifo => "a pipe",
        _ => "not a file",
    };
    Err(Error::new(
        ErrorKind::Invalid,
        format!("`{}` is {what}", path.display()),
    )
    .advise("Volumes are regular files in the folder itself: move the file there"))
}

fn directory(at: impl rustix::fd::AsFd, name: &Path, path: &Path) -> Result<OwnedFd> {
    // The folder may be reached through links, as its owner likes; what is ours may not.
    let follow = if name == path {
        OFlags::empty()
    } else {
        OFlags::NOFOLLOW
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow;
    openat(at, name, flags, Mode::empty()).map_err(|source| {
        let error = storage("open the folder", path, source);
        match io::Error::from(source).kind() {
            io::ErrorKind::NotADirectory => {
                Error::new(ErrorKind::Invalid, error.message()).because(source)
            }
            _ => error,
        }
    })
}

fn make_directory(at: &OwnedFd, name: &str, path: &Path) -> Result<()> {
    match rustix::fs::mkdirat(at, name, Mode::RWXU) {
        Ok(()) => {
            failpoint::did(|| Did::MadeFolder(path.to_owned()));
            Ok(())
        }
        Err(Errno::EXIST) => Ok(()),
        Err(source) => Err(storage("make the folder", path, source)),
    }
}
