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

/// How far the copy gets before the disk is told to begin with it: each telling costs time.
const BEHIND: u64 = 32 << 20;

/// Read and written at a time where the kernel cannot copy by itself.
const BUFFER: usize = 1 << 20;

/// What the threads of one copy share.
#[derive(Debug)]
pub(crate) struct Copier<'a> {
    from: &'a File,
    to: &'a File,
    /// Whether the kernel may copy by itself; until it refuses.
    in_kernel: AtomicBool,
    /// Whether writing past the cache works; until it is refused.
    past_the_cache: AtomicBool,
    job: &'a Job,
    /// What is left; none once something failed.
    pieces: Mutex<Option<Pieces<'a>>>,
}

/// What each thread has of its own.
#[derive(Default)]
struct Tools {
    aligned: direct::Buffer,
    buffer: Vec<u8>,
    /// Up to here the disk was told to begin.
    begun: u64,
}

impl<'a> Copier<'a> {
    pub(crate) fn new(
        from: &'a File,
        to: &'a File,
        in_kernel: bool,
        pieces: Pieces<'a>,
        job: &'a Job,
    ) -> Self {
        Self {
            from,
            to,
            in_kernel: AtomicBool::new(in_kernel),
            past_the_cache: AtomicBool::new(true),
            job,
            pieces: Mutex::new(Some(pieces)),
        }
    }

    /// Copies all pieces by so many threads.
    pub(crate) fn run(&self, threads: usize) -> io::Result<()> {
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

    fn next(&self) -> io::Result<Option<(Extent, Way<'a>)>> {
        let mut pieces = self.pieces();
        let Some(left) = &mut *pieces else {
            return Ok(None);
        };
        self.job.go_on()?;
        let next = left.next()?;
        if next.is_some() {
            failpoint::reached(Step::Copy)?;
        }
        Ok(next)
    }

    fn copy(&self, piece: Extent, way: Way<'a>, tools: &mut Tools) -> io::Result<()> {
        if !self.copy_directly(piece, way, tools)? {
            self.copy_cached(piece, tools)?;
        }
        failpoint::did(|| Did::Filled(self.to));
        self.job.advance(piece.length);
        Ok(())
    }

    /// False where the piece has to go by way of the cache.
    fn copy_directly(&self, piece: Extent, way: Way<'a>, tools: &mut Tools) -> io::Result<bool> {
        let Way::Direct(to) = way else {
            return Ok(false);
        };
        if !self.past_the_cache.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let done = tools.aligned.copy(self.from, to, piece);
        let done = done.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => cut(piece.offset),
            _ => source,
        })?;
        if !done {
            self.past_the_cache.store(false, Ordering::Relaxed);
        }
        Ok(done)
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
        if at - tools.begun >= BEHIND {
            begin_to_write_back(self.to, tools.begun, at - tools.begun);
            tools.begun = at;
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
        let copier = Copier::new(&unreadable, &to, false, pieces, &job);
        copier.work().unwrap_err();
        assert!(copier.next().unwrap().is_none());
    }

    #[test]
    fn what_one_of_several_meets_fails_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let unreadable = File::create(dir.path().join("unreadable")).unwrap();
        let (mut from, job) = (tempfile::tempfile().unwrap(), Job::new());
        from.write_all(&[1; 9 << 20]).unwrap();
        let to = tempfile::tempfile().unwrap();
        let pieces = Pieces::of(&from, None, 9 << 20, &job);
        let copier = Copier::new(&unreadable, &to, false, pieces, &job);
        copier.run(8).unwrap_err();
    }

    #[test]
    fn what_is_refused_past_the_cache_goes_by_way_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut from, job) = (tempfile::tempfile().unwrap(), Job::new());
        let data: Vec<u8> = (0..3 << 12).map(|n: u32| (n >> 7) as u8 | 1).collect();
        from.write_all(&data).unwrap();
        let to = File::create_new(dir.path().join("to")).unwrap();
        let direct = direct::reopen(&to).unwrap();
        let copier = Copier::new(&from, &to, true, Pieces::of(&from, None, 0, &job), &job);
        // At no block's start.
        let piece = Extent {
            offset: 5,
            length: 4096,
        };
        let mut tools = Tools::default();
        copier
            .copy(piece, Way::Direct(&direct), &mut tools)
            .unwrap();
        let copied = std::fs::read(dir.path().join("to")).unwrap();
        assert!(copied[5..] == data[5..5 + 4096]);
        assert_eq!(job.done(), 4096);
    }
}
