use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::{Advice, copy_file_range, fadvise};
use rustix::io::Errno;
use stillpoint_iaas::Extent;

use crate::direct;
use crate::failpoint::{self, Did, Step};
use crate::jobs::Job;
use crate::pieces::{Pieces, Way};

/// Threads that write past the cache.
const WRITERS: usize = 8;

/// How far the copy gets before the disk is told to begin with it: each telling costs time.
const BEHIND: u64 = 32 << 20;

/// Read and written at a time where the kernel cannot copy by itself.
const BUFFER: usize = 1 << 20;

/// What the threads of one copy share.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    from: &'a File,
    to: &'a File,
    /// The same file, opened past the page cache.
    direct: Option<&'a File>,
    /// Until the kernel refuses.
    in_kernel: AtomicBool,
    job: &'a Job,
    /// What is left; none once something failed.
    pieces: Mutex<Option<Pieces<'a>>>,
}

/// What each thread has of its own.
#[derive(Default)]
struct Tools {
    aligned: direct::Buffer,
    buffer: Vec<u8>,
    /// How much went by way of the cache since the disk was told to begin, up to where.
    cached: u64,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(
        from: &'a File,
        to: &'a File,
        direct: Option<&'a File>,
        in_kernel: bool,
        pieces: Pieces<'a>,
        job: &'a Job,
    ) -> Self {
        Self {
            from,
            to,
            direct,
            in_kernel: AtomicBool::new(in_kernel),
            job,
            pieces: Mutex::new(Some(pieces)),
        }
    }

    /// Copies all pieces.
    pub(crate) fn run(&self) -> io::Result<()> {
        // Past the cache each waits for the disk; by way of it they would wait for each other.
        let threads = if self.direct.is_some() { WRITERS } else { 1 };
        thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads)
                // Where no more threads are to be had, fewer do it.
                .map_while(|_| {
                    let helper = thread::Builder::new().name("stillpoint-copy".to_owned());
                    helper.spawn_scoped(scope, || self.work()).ok()
                })
                .collect();
            helpers.into_iter().fold(self.work(), |outcome, helper| {
                let helped = helper.join();
                outcome.and(helped.unwrap_or_else(|panic| resume_unwind(panic)))
            })
        })
    }

    fn work(&self) -> io::Result<()> {
        let mut tools = Tools::default();
        let mut all = || {
            while let Some((piece, way)) = self.next()? {
                self.copy(piece, way, &mut tools)?;
            }
            Ok(())
        };
        // The others need not go on for nothing.
        all().inspect_err(|_| *self.pieces() = None)
    }

    fn pieces(&self) -> MutexGuard<'_, Option<Pieces<'a>>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> io::Result<Option<(Extent, Way)>> {
        let mut pieces = self.pieces();
        let Some(left) = &mut *pieces else {
            return Ok(None);
        };
        let next = left.next()?;
        if next.is_some() {
            self.job.go_on()?;
            failpoint::reached(Step::Copy)?;
        }
        Ok(next)
    }

    fn copy(&self, piece: Extent, way: Way, tools: &mut Tools) -> io::Result<()> {
        let direct = self.direct.filter(|_| way == Way::Direct);
        let done = match direct {
            Some(direct) => tools
                .aligned
                .copy(self.from, direct, piece)
                .map_err(|source| match source.kind() {
                    io::ErrorKind::UnexpectedEof => cut(piece.offset),
                    _ => source,
                })?,
            None => false,
        };
        if !done {
            self.copy_cached(piece, tools)?;
        }
        failpoint::did(|| Did::Filled(self.to));
        self.job.advance(piece.length);
        Ok(())
    }

    fn copy_cached(&self, piece: Extent, tools: &mut Tools) -> io::Result<()> {
        let mut at = piece.offset;
        while at < piece.end() {
            let length = piece.end() - at;
            if self.in_kernel.load(Ordering::Relaxed) {
                match copy_range(self.from, self.to, at, length)? {
                    Some(copied) => at += copied,
                    None => self.in_kernel.store(false, Ordering::Relaxed),
                }
            } else {
                tools.buffer.resize(BUFFER, 0);
                at += read_write(self.from, self.to, at, length, &mut tools.buffer)?;
            }
        }
        tools.cached += piece.length;
        if tools.cached >= BEHIND {
            begin_to_write_back(self.to, at.saturating_sub(tools.cached), tools.cached);
            tools.cached = 0;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_fails_for_one_ends_it_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unreadable");
        let unreadable = File::create(&path).unwrap();
        let (mut from, job) = (tempfile::tempfile().unwrap(), Job::new());
        from.write_all(&[1; 9 << 20]).unwrap();
        let to = tempfile::tempfile().unwrap();
        let pieces = Pieces::of(&from, None, 9 << 20, &job);
        let copier = Copier::new(&unreadable, &to, None, false, pieces, &job);
        copier.work().unwrap_err();
        assert_eq!(copier.next().unwrap(), None);
    }
}
