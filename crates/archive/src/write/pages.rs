use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::trail::{PAGE, Trail};
use crate::Result;

/// The file that an archive is written to, a page at a time. By way of the cache, since it is most
/// likely read next: verified, extracted or brought to a depot.
pub(super) struct Pages {
    file: File,
    page: Vec<u8>,
    filled: usize,
    /// Where the page begins.
    at: u64,
    trail: Trail,
}

impl Pages {
    pub(super) fn new(file: File) -> Result<Self> {
        Ok(Pages {
            file,
            page: vec![0; PAGE],
            filled: 0,
            at: 0,
            trail: Trail::new()?,
        })
    }

    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - self.filled));
            self.page[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == PAGE {
                self.turn()?;
            }
        }
        Ok(())
    }

    /// Writes `is` over what `was` written at `offset`.
    pub(super) fn patch(&mut self, offset: u64, was: &[u8], is: &[u8]) -> io::Result<()> {
        let gone = self.at.saturating_sub(offset).min(is.len() as u64) as usize;
        if gone > 0 {
            self.file.write_all_at(&is[..gone], offset)?;
            self.trail.patched(offset, &was[..gone], &is[..gone]);
        }
        if gone < is.len() {
            let from = (offset + gone as u64 - self.at) as usize;
            self.page[from..][..is.len() - gone].copy_from_slice(&is[gone..]);
        }
        Ok(())
    }

    /// Writes what is left; gives what the file is known by.
    pub(super) fn finish(mut self) -> io::Result<Trail> {
        let rest = &self.page[..self.filled];
        self.file.write_all_at(rest, self.at)?;
        self.trail.add(rest);
        Ok(self.trail)
    }

    fn turn(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.page, self.at)?;
        write_back(&self.file, self.at);
        self.trail.add(&self.page);
        self.at += PAGE as u64;
        self.filled = 0;
        Ok(())
    }
}

/// Has the disk write while more is packed: left to the sync at the end, it would begin only then.
/// Linux begins to write what it is told is not needed, and keeps it in memory until that is done.
#[cfg(target_os = "linux")]
fn write_back(file: &File, at: u64) {
    use rustix::fs::{Advice, fadvise};
    // Where it is refused, the sync does all of it.
    let length = std::num::NonZeroU64::new(PAGE as u64);
    let _ = fadvise(file, at, length, Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn write_back(_file: &File, _at: u64) {}
