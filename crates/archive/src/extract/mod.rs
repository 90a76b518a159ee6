//! Extracting: into a staging folder beside the target, which gets its name once all is proven.

mod files;
mod past;

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use files::Files;

use crate::pool::default_workers;
use crate::verify::{Walk, walk};
use crate::{Archive, Assurance, Error, Kind, Result, Watch};

/// Workers beside those that have a core each, since some wait for the disk.
const WAITING: usize = 2;

type Only = dyn Fn(&str) -> bool + Send + Sync;

/// How an archive is extracted.
#[derive(Clone, Default)]
pub struct ExtractOptions {
    only: Option<Arc<Only>>,
    durable: bool,
}

impl ExtractOptions {
    /// Everything that was archived, without flushing it to the disk.
    pub fn new() -> Self {
        ExtractOptions::default()
    }

    /// Extracts only files whose path `only` says yes to, and all directories above them.
    #[must_use]
    pub fn only(mut self, only: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.only = Some(Arc::new(only));
        self
    }

    /// Flushes the file system before the folder gets its name, so that after a power failure it
    /// is either whole or not there. Takes as long as the disk needs.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }
}

impl fmt::Debug for ExtractOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractOptions")
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

/// What was extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extracted {
    /// Files written.
    pub files: u64,
    /// Bytes in them, holes included.
    pub bytes: u64,
    /// What was proven of them.
    pub assurance: Assurance,
}

/// Extracts an archive into `folder`, which must not exist yet or be empty.
///
/// Everything is written to a staging folder beside it, file by file relative to open folders,
/// following no links and replacing nothing; it gets its name only after every content was proven.
/// Whatever goes wrong, nothing is left behind. What the archive's own writer added is left out;
/// sealed entries are opened. Holes stay holes.
///
/// # Errors
/// [`Error::Exists`]; [`Error::KeyMissing`], before anything is written; else as
/// [`verify`](crate::verify).
///
/// ```
/// use stillpoint_archive::{
///     Archive, EntryOptions, ExtractOptions, Watch, WriteOptions, create, extract,
/// };
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.zip");
/// create(&path, &WriteOptions::new(), |writer| {
///     writer.bytes("docs/greeting.txt", "hello", &EntryOptions::new())
/// })?;
/// let target = folder.path().join("restored");
/// extract(&Archive::open(&path)?, &target, &ExtractOptions::new(), &Watch::none())?;
/// assert_eq!(std::fs::read_to_string(target.join("docs/greeting.txt"))?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn extract(
    archive: &Archive,
    folder: impl AsRef<Path>,
    options: &ExtractOptions,
    watch: &Watch,
) -> Result<Extracted> {
    let folder = folder.as_ref();
    archive.need_key()?;
    let fail = |what: &str| Error::io(format!("{what} {}", folder.display()));
    let there = is_empty_folder(folder)?;
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Removed when dropped, as on every error below.
    let staging = tempfile::Builder::new()
        .prefix(".stillpoint-")
        .suffix(".part")
        .permissions(fs::Permissions::from_mode(0o777))
        .tempdir_in(parent)
        .map_err(fail("creating a folder beside"))?;
    let files = Arc::new(Files::new(archive.clone(), staging.path())?);
    let wanted = |index: usize| {
        let view = archive.view(index);
        !view.is_own()
            && match (&options.only, view.kind()) {
                (Some(only), Kind::File) => only(view.path()),
                (Some(_), Kind::Directory) => false,
                (None, _) => true,
            }
    };
    for (index, view) in archive.entries().enumerate() {
        if view.kind() == Kind::Directory && wanted(index) {
            files.directory(view.path())?;
        }
    }
    let walk_options = Walk {
        only: Some(&wanted),
        workers: default_workers() + WAITING,
    };
    let digests = walk(archive, walk_options, watch, Some(files.clone()))?;
    files.finish(options.durable)?;
    put_in_place(staging, folder, there)?;
    let written = (0..digests.len())
        .filter(|index| wanted(*index) && archive.view(*index).kind() == Kind::File);
    let sizes: Vec<u64> = written.map(|index| archive.view(index).size()).collect();
    Ok(Extracted {
        files: sizes.len() as u64,
        bytes: sizes.iter().sum(),
        assurance: match archive.root() {
            Some(_) => Assurance::Verified,
            None => Assurance::CrcOnly,
        },
    })
}

/// Whether the target is there already, and empty.
fn is_empty_folder(folder: &Path) -> Result<bool> {
    let exists = || Error::Exists(folder.to_owned());
    match folder.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(format!("looking at {}", folder.display()))(e)),
        Ok(metadata) if metadata.is_dir() => {
            let mut children = fs::read_dir(folder)
                .map_err(Error::io(format!("looking into {}", folder.display())))?;
            if children.next().is_some() {
                Err(exists())
            } else {
                Ok(true)
            }
        }
        Ok(_) => Err(exists()),
    }
}

fn put_in_place(staging: tempfile::TempDir, folder: &Path, there: bool) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat, renameat_with};
    use rustix::io::Errno;

    let renamed = match there {
        // Takes the place of an empty folder, and only of an empty one.
        true => renameat(CWD, staging.path(), CWD, folder),
        false => match renameat_with(CWD, staging.path(), CWD, folder, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                renameat(CWD, staging.path(), CWD, folder)
            }
            renamed => renamed,
        },
    };
    match renamed {
        Ok(()) => {
            // It has its name now: not to be removed any more.
            let _ = staging.keep();
            Ok(())
        }
        Err(Errno::EXIST | Errno::NOTEMPTY) => Err(Error::Exists(folder.to_owned())),
        Err(e) => Err(Error::io(format!("naming {}", folder.display()))(e.into())),
    }
}
