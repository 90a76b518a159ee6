use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, copy_file_range, fadvise, ftruncate, ioctl_ficlone};
use rustix::io::Errno;
use stillpoint_core::CopyKind;

use crate::extents;
use crate::failpoint::{self, Did, Step};
use crate::jobs::Job;

/// How much is copied between two looks at whether to stop.
const CHUNK: u64 = 8 << 20;

/// How far the copy gets before the disk is told to begin with it: each telling costs time.
const BEHIND: u64 = 32 << 20;

/// Read and written at a time where the kernel cannot copy by itself.
const BUFFER: usize = 1 << 20;

/// How bytes get from one file to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// By the kernel, which may share blocks where the file system can.
    Kernel,
    /// Through our memory: blocks of one's own everywhere.
    ReadWrite,
    /// By sharing all blocks, and where that cannot be, by the kernel.
    Share,
}

impl Method {
    /// The method that gives this kind of copy. `reflinks`: whether the file system shares blocks.
    pub(crate) fn of(kind: CopyKind, reflinks: bool) -> Self {
        match kind {
            CopyKind::Shallow => Self::Share,
            // copy_file_range would share blocks behind our back.
            _ if reflinks => Self::ReadWrite,
            _ => Self::Kernel,
        }
    }
}

/// Copies `size` bytes into an empty file, holes as holes, and says what came of it.
///
/// The job learns of every byte passed, holes included, and is asked between chunks whether to
/// go on.
pub(crate) fn copy(
    from: &File,
    to: &File,
    size: u64,
    method: Method,
    job: &Job,
) -> io::Result<CopyKind> {
    if method == Method::Share && clone(from, to)? {
        job.advance(size);
        return Ok(CopyKind::Shallow);
    }
    failpoint::reached(Step::Use)?;
    ftruncate(to, size)?;
    failpoint::did(|| Did::Filled(to));
    let mut in_kernel = method != Method::ReadWrite;
    let mut buffer = Vec::new();
    let (mut passed, mut begun) = (0, 0);
    while let Some(extent) = extents::next(from, passed, size)? {
        job.advance(extent.offset - passed);
        let mut at = extent.offset;
        while at < extent.end() {
            job.go_on()?;
            failpoint::reached(Step::Copy)?;
            let length = (extent.end() - at).min(CHUNK);
            let copied = if in_kernel {
                match copy_range(from, to, at, length)? {
                    Some(copied) => copied,
                    None => {
                        in_kernel = false;
                        continue;
                    }
                }
            } else {
                buffer.resize(BUFFER, 0);
                read_write(from, to, at, length, &mut buffer)?
            };
            failpoint::did(|| Did::Filled(to));
            at += copied;
            if at - begun >= BEHIND {
                begin_to_write_back(to, begun, at - begun);
                begun = at;
            }
            job.advance(copied);
        }
        passed = at;
    }
    job.advance(size - passed);
    Ok(CopyKind::Full)
}

/// Makes a file share all blocks of another; false where that cannot be.
pub(crate) fn clone(from: &File, to: &File) -> io::Result<bool> {
    failpoint::reached(Step::Use)?;
    match ioctl_ficlone(to, from) {
        Ok(()) => {
            failpoint::did(|| Did::Filled(to));
            Ok(true)
        }
        // No such file system, two file systems, a swap or otherwise special file.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTTY | Errno::OPNOTSUPP | Errno::XDEV) => {
            Ok(false)
        }
        Err(source) => Err(source.into()),
    }
}

fn copy_range(from: &File, to: &File, at: u64, length: u64) -> io::Result<Option<u64>> {
    let (mut read_at, mut write_at) = (at, at);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), length) {
        Ok(0) => Err(cut(at)),
        Ok(copied) => Ok(Some(copied as u64)),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::XDEV) => Ok(None),
        Err(source) => Err(source.into()),
    }
}

/// Has the disk at work while the next bytes are copied: left to the sync at the end, it would
/// begin only then. Linux starts to write what it is told is not needed, and keeps it in memory
/// until that is done.
fn begin_to_write_back(to: &File, at: u64, length: u64) {
    // Where it is refused, the sync does all of it.
    let _ = fadvise(to, at, NonZeroU64::new(length), Advice::DontNeed);
}

fn read_write(from: &File, to: &File, at: u64, length: u64, buffer: &mut [u8]) -> io::Result<u64> {
    let length = usize::try_from(length).unwrap_or(BUFFER).min(buffer.len());
    let read = from.read_at(&mut buffer[..length], at)?;
    if read == 0 {
        return Err(cut(at));
    }
    to.write_all_at(&buffer[..read], at)?;
    Ok(read as u64)
}

fn cut(at: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the file ended at byte {at} while it was copied"),
    )
}
