//! Raw disks with a FAT file system on them, made and read by a library: no mount, no root.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use crate::Result;

/// Makes a sparse raw disk of `size` bytes with a file system called `label` on it.
pub(crate) fn format(disk: &Path, size: u64, label: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(disk)?;
    file.set_len(size)?;
    let mut padded = *b"           ";
    padded[..label.len()].copy_from_slice(label.as_bytes());
    let options = FormatVolumeOptions::new().volume_label(padded);
    fatfs::format_volume(&mut file, options)?;
    Ok(())
}

/// Writes a file on the disk, in place of one that is there.
pub(crate) fn write(disk: &Path, name: &str, content: &[u8]) -> Result<()> {
    let system = open(disk)?;
    let mut file = system.root_dir().create_file(name)?;
    file.truncate()?;
    file.write_all(content)?;
    file.flush()?;
    drop(file);
    Ok(system.unmount()?)
}

/// Removes a file from the disk.
pub(crate) fn remove(disk: &Path, name: &str) -> Result<()> {
    let system = open(disk)?;
    system.root_dir().remove(name)?;
    Ok(system.unmount()?)
}

/// Reads a file on the disk.
pub(crate) fn read(disk: &Path, name: &str) -> Result<Vec<u8>> {
    // A FAT is marked as in use while it is open for writing; for reading nothing may change.
    let system = FileSystem::new(ReadOnly(File::open(disk)?), FsOptions::new())?;
    let mut content = Vec::new();
    system
        .root_dir()
        .open_file(name)?
        .read_to_end(&mut content)?;
    Ok(content)
}

fn open(disk: &Path) -> Result<FileSystem<File>> {
    let file = OpenOptions::new().read(true).write(true).open(disk)?;
    Ok(FileSystem::new(file, FsOptions::new())?)
}

/// A disk whose writes are refused.
struct ReadOnly(File);

impl Read for ReadOnly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Seek for ReadOnly {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
