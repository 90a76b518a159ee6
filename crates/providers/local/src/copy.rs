use std::fs::File;
use std::io;

use rustix::fs::{fstat, ftruncate, ioctl_ficlone};
use rustix::io::Errno;
use stillpoint_core::CopyKind;

use crate::copier::Copier;
use crate::failpoint::{self, Did, Step};
use crate::jobs::Job;
use crate::pieces::Pieces;

/// From so much data on, what a copy waits for is the disk.
const LARGE: u64 = 32 << 20;

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
/// `direct` is the same file opened past the page cache, where that can be. The job learns of
/// every byte passed, holes included, and is asked between pieces whether to go on.
pub(crate) fn copy(
    from: &File,
    to: &File,
    direct: Option<&File>,
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
    let is_large = fstat(from)?.st_blocks.cast_unsigned() * 512 >= LARGE;
    let direct = direct.filter(|_| is_large);
    let pieces = Pieces::of(from, direct, size, job);
    let in_kernel = method != Method::ReadWrite;
    Copier::new(from, to, direct, in_kernel, pieces, job).run()?;
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
    use std::path::Path;

    use super::*;

    const SIZE: u64 = LARGE + 5;

    fn source() -> File {
        let mut from = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..SIZE).map(|n| (n >> 9) as u8).collect();
        from.write_all(&data).unwrap();
        from.sync_all().unwrap();
        from
    }

    fn target(path: &Path, direct: bool) -> File {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::RDWR | OFlags::CREATE;
        let flags = if direct {
            flags | OFlags::DIRECT
        } else {
            flags
        };
        File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).unwrap())
    }

    #[test]
    fn every_byte_is_told_once_whichever_way_it_goes() {
        for past in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("to");
            let (from, job) = (source(), Job::new());
            let to = target(&path, false);
            let direct = past.then(|| target(&path, true));
            copy(&from, &to, direct.as_ref(), SIZE, Method::ReadWrite, &job).unwrap();
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
        let to = target(&dir.path().join("to"), false);
        let stopped = copy(&source(), &to, None, SIZE, Method::Kernel, &job).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
        assert_eq!(job.done(), 0);
    }
}
