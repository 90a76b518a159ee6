use std::fs::File;
use std::io;

use rustix::fs::{fstat, ftruncate, ioctl_ficlone};
use rustix::io::Errno;
use stillpoint_core::CopyKind;

use crate::copier::Copier;
use crate::direct;
use crate::failpoint::{self, Did, Step};
use crate::jobs::Job;
use crate::pieces::Pieces;

/// From so much data on, what a copy waits for is the disk.
const LARGE: u64 = 32 << 20;

/// Threads that write past the page cache.
const WRITERS: usize = 8;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// That the bytes are read: making them durable can wait. The page cache takes them quickest.
    Read,
    /// That the copy is on the disk. A large one goes past the page cache.
    Durable,
}

/// How bytes get from one file to another, where they do not go past the page cache.
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
/// The job learns of every byte passed, holes included, and is asked between pieces whether to go
/// on.
pub(crate) fn copy(
    from: &File,
    to: &File,
    size: u64,
    method: Method,
    over: Over,
    job: &Job,
) -> io::Result<CopyKind> {
    if method == Method::Share && clone(from, to)? {
        job.advance(size);
        return Ok(CopyKind::Shallow);
    }
    failpoint::reached(Step::Use)?;
    ftruncate(to, size)?;
    failpoint::did(|| Did::Filled(to));
    let is_large = fstat(from)?.st_blocks.cast_unsigned() * 512 >= LARGE;
    let direct = match over {
        Over::Durable if is_large => direct::reopen(to),
        _ => None,
    };
    let pieces = Pieces::of(from, direct.as_ref(), size, job);
    let in_kernel = method != Method::ReadWrite;
    // Past the cache each waits for the disk; by way of it they would wait for each other.
    let threads = if direct.is_some() { WRITERS } else { 1 };
    Copier::new(from, to, in_kernel, pieces, job).run(threads)?;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    use super::*;

    const SIZE: u64 = LARGE + 5;

    fn source() -> File {
        let mut from = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..SIZE).map(|n| (n >> 9) as u8).collect();
        from.write_all(&data).unwrap();
        from.sync_all().unwrap();
        from
    }

    #[test]
    fn every_byte_is_told_once_whichever_way_it_goes() {
        for over in [Over::Read, Over::Durable] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("to");
            let (from, job) = (source(), Job::new());
            let to = File::create(&path).unwrap();
            copy(&from, &to, SIZE, Method::ReadWrite, over, &job).unwrap();
            assert_eq!(job.done(), SIZE);
            let mut data = vec![0; SIZE as usize];
            from.read_exact_at(&mut data, 0).unwrap();
            assert!(fs::read(&path).unwrap() == data);
        }
    }

    #[test]
    fn a_stop_is_heard_before_the_next_piece() {
        let dir = tempfile::tempdir().unwrap();
        let job = Job::new();
        job.stop();
        let to = File::create(dir.path().join("to")).unwrap();
        let stopped = copy(&source(), &to, SIZE, Method::Kernel, Over::Read, &job).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
        assert_eq!(job.done(), 0);
    }
}
