use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use super::keys::Keys;
use super::records::failed;
use super::{Depot, blocking};
use crate::{Error, Result};

impl Depot {
    /// In a local folder, which is made where it is missing. What is in the depot is on the disk,
    /// and what a process that was killed had only begun to write is removed.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path().join("backup");
    /// use stillpoint_archive::depot::Depot;
    ///
    /// let depot = Depot::folder(&folder, "snapshots")?;
    /// # assert!(folder.is_dir());
    /// # let _ = depot;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the prefix is no path; [`Error::Io`].
    pub fn folder(path: impl AsRef<Path>, prefix: &str) -> Result<Self> {
        let path = path.as_ref();
        let what = || format!("making {}", path.display());
        let path = std::path::absolute(path).map_err(Error::io(what()))?;
        make(&path).map_err(Error::io(what()))?;
        let store = LocalFileSystem::new_with_prefix(&path)
            .map_err(failed(&what()))?
            .with_fsync(true);
        let mut depot = Depot::new(Arc::new(store.clone()), prefix)?;
        depot.folder = Some(store);
        Ok(depot)
    }

    /// Removes what a killed process left of an id. The store writes a file under its name, `#` and
    /// a number before it has its name; it neither lists these nor deletes them.
    pub(super) async fn sweep(&self, keys: &Keys, of: &'static str) -> Result<()> {
        let Some(store) = &self.folder else {
            return Ok(());
        };
        let folder = store.path_to_filesystem(keys.folder());
        let folder = folder.map_err(failed("looking for leftovers"))?;
        blocking(move || {
            let what = || Error::io(format!("clearing {}", folder.display()));
            let entries = match fs::read_dir(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                entries => entries.map_err(what())?,
            };
            for entry in entries {
                let path = entry.map_err(what())?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                if name.is_some_and(|name| name.starts_with(of) && is_leftover(name)) {
                    remove(&path).map_err(what())?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn is_leftover(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes a folder and those above it, for good: the store does so only for what is in it.
fn make(folder: &Path) -> io::Result<()> {
    let Some(parent) = folder.parent().filter(|_| !folder.is_dir()) else {
        return Ok(());
    };
    make(parent)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    File::open(parent)?.sync_all()
}
