//! The folder that everything happens in, and the raw bytes of its disks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use stillpoint::Digest;
use tempfile::TempDir;

use crate::Result;

/// A folder of our own, removed at the end unless it is to be kept.
pub(crate) struct Stage {
    folder: TempDir,
}

/// The SHA-256 of whole raw disks, holes and all, by file name.
pub(crate) type Sums = BTreeMap<String, Digest>;

impl Stage {
    /// In `target/` where this is a checkout, else where temporary files go.
    pub(crate) fn new(keep: bool) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix("stillpoint-quickstart-")
            .disable_cleanup(keep);
        let target = Path::new("target");
        let folder = if target.is_dir() {
            builder.tempdir_in(target)?
        } else {
            builder.tempdir()?
        };
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder as a person would type it.
    pub(crate) fn shown(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        let path = self.path();
        path.strip_prefix(here)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The folder of disks, which is what the provider opens.
    pub(crate) fn disks(&self) -> Result<PathBuf> {
        let disks = self.path().join("disks");
        fs::create_dir_all(&disks)?;
        Ok(disks)
    }

    /// The folder for archives.
    pub(crate) fn backup(&self) -> Result<PathBuf> {
        let backup = self.path().join("backup");
        fs::create_dir_all(&backup)?;
        Ok(backup)
    }

    /// Removes the disks, their snapshots, and all that is known of them.
    pub(crate) fn wipe(&self) -> Result<()> {
        fs::remove_dir_all(self.disks()?)?;
        Ok(fs::remove_file(self.state())?)
    }

    /// The file with everything durable. Not among the disks: it is none.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state.redb")
    }
}

/// Hashes these disks of a folder.
pub(crate) fn sums<'a>(folder: &Path, disks: impl IntoIterator<Item = &'a str>) -> Result<Sums> {
    disks
        .into_iter()
        .map(|disk| Ok((disk.to_owned(), sum(&folder.join(disk))?)))
        .collect()
}

fn sum(disk: &Path) -> Result<Digest> {
    let mut hasher = Sha256::new();
    let mut file = File::open(disk).map_err(|error| format!("{}: {error}", disk.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(Digest::new(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}
