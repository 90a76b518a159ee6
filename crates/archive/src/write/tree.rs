use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom};

use super::jobs::{Small, SmallContent, changed};
use super::{EntryOptions, Writer};
use crate::chunk::CHUNK;
use crate::{Class, Error, Refusal, Result};

/// How a folder is archived.
#[derive(Clone, Copy)]
pub struct TreeOptions<'a> {
    classify: &'a dyn Fn(&str) -> Class,
    component: Option<&'a str>,
    skip: &'a dyn Fn(&str) -> bool,
}

impl<'a> TreeOptions<'a> {
    /// Everything, of class internal.
    pub fn new() -> Self {
        TreeOptions {
            classify: &|_| Class::Internal,
            component: None,
            skip: &|_| false,
        }
    }

    /// Says the class of each file by its name in the archive.
    #[must_use]
    pub fn classify(mut self, classify: &'a dyn Fn(&str) -> Class) -> Self {
        self.classify = classify;
        self
    }

    /// Sets which part of the snapshot the files belong to.
    #[must_use]
    pub fn component(mut self, component: &'a str) -> Self {
        self.component = Some(component);
        self
    }

    /// Leaves out what `skip` says yes to, by its name in the archive.
    #[must_use]
    pub fn skip(mut self, skip: &'a dyn Fn(&str) -> bool) -> Self {
        self.skip = skip;
        self
    }
}

impl Default for TreeOptions<'_> {
    fn default() -> Self {
        TreeOptions::new()
    }
}

impl fmt::Debug for TreeOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeOptions")
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}

impl Writer<'_> {
    /// Adds a folder's files and directories, sorted by name, below `prefix` (empty for the top).
    /// Holes of sparse files stay holes.
    ///
    /// # Errors
    /// [`Error::Refused`] for what is neither file nor directory: links and devices are not
    /// followed and never left out in silence. Else as [`finish`](Self::finish).
    pub fn tree(&mut self, prefix: &str, folder: &Path, options: TreeOptions<'_>) -> Result<()> {
        let fail = || Error::io(format!("reading {}", folder.display()));
        let mut children: Vec<_> = fs::read_dir(folder)
            .and_then(Iterator::collect)
            .map_err(fail())?;
        children.sort_unstable_by_key(fs::DirEntry::file_name);
        for child in children {
            let path = child.path();
            let file_name = child.file_name();
            let file_name = file_name
                .to_str()
                .ok_or_else(|| Refusal::BadUtf8.of(path.display().to_string()))?;
            let name = match prefix {
                "" => file_name.to_owned(),
                _ => format!("{}/{file_name}", prefix.trim_end_matches('/')),
            };
            if (options.skip)(&name) {
                continue;
            }
            let metadata = child.metadata().map_err(fail())?;
            let mut about = EntryOptions::new().mode(metadata.permissions().mode() & 0o7777);
            about.modified = metadata.modified().ok();
            about.component = options.component.map(str::to_owned);
            let kind = metadata.file_type();
            if kind.is_dir() {
                self.directory(&name, &about)?;
                self.tree(&name, &path, options)?;
            } else if kind.is_file() {
                about.class = (options.classify)(&name);
                self.path(&name, &path, metadata.len(), &about)?;
            } else {
                let what = match kind {
                    _ if kind.is_symlink() => "a symbolic link",
                    _ if kind.is_fifo() => "a pipe",
                    _ if kind.is_socket() => "a socket",
                    _ => "a device",
                };
                return Err(Refusal::FileType(what).of(path.display().to_string()));
            }
        }
        Ok(())
    }

    /// Adds a file by its path.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn file_at(&mut self, name: &str, path: &Path, options: &EntryOptions) -> Result<()> {
        let fail = Error::io(format!("reading {}", path.display()));
        let metadata = path.symlink_metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(Refusal::FileType("not a regular file").of(path.display().to_string()));
        }
        self.path(name, path, metadata.len(), options)
    }

    fn path(&mut self, name: &str, path: &Path, size: u64, about: &EntryOptions) -> Result<()> {
        if size <= CHUNK as u64 {
            let head = self.head(name, about)?;
            let content = SmallContent::Path(path.to_owned(), size);
            return self.small(Small { head, content });
        }
        let fail = || Error::io(format!("reading {}", path.display()));
        let file = open_no_follow(path).map_err(fail())?;
        let mut entry = self.entry(name, &about.clone().size(size))?;
        let mut at = 0;
        while at < size {
            let (data, end) = next_extent(&file, at, size).map_err(fail())?;
            entry.hole(data - at)?;
            rustix::fs::seek(&file, SeekFrom::Start(data)).map_err(|e| fail()(e.into()))?;
            if entry.take_from(&file, end - data).map_err(fail())? != end - data {
                return Err(changed(path));
            }
            at = end;
        }
        if (&file).read(&mut [0]).map_err(fail())? != 0 {
            return Err(changed(path));
        }
        entry.finish()
    }
}

/// The next stretch of data from `at` on; what lies between is a hole.
fn next_extent(file: &File, at: u64, size: u64) -> io::Result<(u64, u64)> {
    let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => data.min(size),
        Err(rustix::io::Errno::NXIO) => return Ok((size, size)),
        // File systems that know no holes: all is data.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => return Ok((at, size)),
        Err(e) => return Err(e.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(data))?.min(size);
    Ok((data, end))
}

/// Opens a file for reading; a link that took its place is an error.
pub(super) fn open_no_follow(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}
