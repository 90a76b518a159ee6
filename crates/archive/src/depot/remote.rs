use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::pieces::piece;
use super::{Depot, Receipt, blocking};
use crate::read::ReadAt;
use crate::zip::{End, manifest_offset};
use crate::{Archive, Error, OpenOptions, Refusal, Result};

/// Bytes at the end of an archive that are fetched first: they hold the directory and the
/// manifest of most.
const TAIL: u64 = 2 << 20;
/// How many times as long as the directory a manifest is at the most, as a rule: a line of it holds
/// a digest, and that of a large entry one for each chunk.
const MANIFEST: u64 = 4;
/// Bytes fetched at least.
const BLOCK: u64 = 256 << 10;
/// Bytes that are remembered, besides the end; also the most that is fetched before it is asked for.
const REMEMBERED: u64 = 16 << 20;

/// An archive in a depot, read where it is.
#[derive(Clone)]
pub struct RemoteArchive {
    archive: Archive,
    remote: Arc<Remote>,
}

impl RemoteArchive {
    /// Its directory and manifest: everything but contents, with no further request. Reading
    /// contents through it blocks; it is for threads that may.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Reads one entry, proven.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub async fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.ahead(name).await?;
        let (archive, name) = (self.archive.clone(), name.to_owned());
        blocking(move || archive.read(&name)).await
    }

    /// Reads part of an entry, checked. Of one that is cut only the chunks it needs are fetched,
    /// each in a request of its own, after one for its header, and one for what is behind its data
    /// where it was written as a stream.
    ///
    /// # Errors
    /// As [`Archive::read_range`].
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (archive, name) = (self.archive.clone(), name.to_owned());
        blocking(move || archive.read_range(&name, range)).await
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> u64 {
        self.remote.requests.load(Ordering::Relaxed)
    }

    /// Fetches an entry in one request, header and all, where it is small enough to be kept.
    async fn ahead(&self, name: &str) -> Result<()> {
        let Some(range) = self.archive.span(name) else {
            return Ok(());
        };
        if range.end - range.start > REMEMBERED || self.remote.holds(&range) {
            return Ok(());
        }
        let block = self.remote.fetch(range.clone()).await;
        let block = block.map_err(Error::io(format!("reading {name}")))?;
        self.remote.remember(range.start, block);
        Ok(())
    }
}

impl fmt::Debug for RemoteArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteArchive")
            .field("archive", &self.archive)
            .field("key", &self.remote.key)
            .finish_non_exhaustive()
    }
}

pub(super) async fn open(
    depot: &Depot,
    key: Path,
    receipt: &Receipt,
    options: OpenOptions,
) -> Result<RemoteArchive> {
    let mut remote = Remote {
        store: Arc::clone(&depot.store),
        size: receipt.size,
        handle: Handle::current(),
        end: Vec::new(),
        blocks: Mutex::default(),
        // The receipt's.
        requests: AtomicU64::new(1),
        key,
    };
    remote.fetch_end().await?;
    let remote = Arc::new(remote);
    let source = Arc::clone(&remote);
    let archive = blocking(move || options.headers_on_read().open_source(source)).await?;
    if archive.root() != receipt.root {
        let why = "its receipt is for another one".to_owned();
        return Err(Refusal::ManifestMismatch(why).of(&*receipt.id));
    }
    Ok(RemoteArchive { archive, remote })
}

/// An object as a source: blocks of it, fetched as they are asked for.
struct Remote {
    store: Arc<dyn ObjectStore>,
    key: Path,
    size: u64,
    handle: Handle,
    /// The end of the object, which is asked for again and again.
    end: Vec<(u64, Bytes)>,
    blocks: Mutex<Vec<(u64, Bytes)>>,
    requests: AtomicU64,
}

impl Remote {
    /// Fetches the end; and, in one more request, what of the manifest lies before it. Where the
    /// directory says where that is, exactly; where part of the directory lies before the end, too,
    /// the rest of it with as much before it as a manifest of so many entries takes.
    async fn fetch_end(&mut self) -> Result<()> {
        let fail = || Error::io(format!("reading {}", self.key));
        let start = self.size.saturating_sub(TAIL);
        let tail = self.fetch(start..self.size).await.map_err(fail())?;
        let end = End::decode(&tail, self.size)?;
        let mut fetched = vec![(start, tail)];
        let from = match end.offset.checked_sub(start) {
            Some(at) => manifest_offset(&fetched[0].1[at as usize..])
                .unwrap_or(start)
                .max(start.saturating_sub(REMEMBERED)),
            None => end
                .offset
                .saturating_sub(end.size.saturating_mul(MANIFEST))
                .max(start.saturating_sub(REMEMBERED)),
        };
        if from < start {
            let block = self.fetch(from..start).await.map_err(fail())?;
            fetched.push((from, block));
        }
        self.end = fetched;
        Ok(())
    }

    async fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let piece = piece(&*self.store, &self.key, range, self.size).await;
        piece.map_err(Error::into_io)
    }

    fn holds(&self, range: &Range<u64>) -> bool {
        let holds = |blocks: &[(u64, Bytes)]| {
            blocks.iter().any(|(start, block)| {
                *start <= range.start && range.end <= start + block.len() as u64
            })
        };
        holds(&self.end) || holds(&self.lock())
    }

    fn remember(&self, start: u64, block: Bytes) {
        let mut blocks = self.lock();
        blocks.push((start, block));
        let mut held: u64 = blocks.iter().map(|(_, block)| block.len() as u64).sum();
        while held > REMEMBERED && blocks.len() > 1 {
            held -= blocks.remove(0).1.len() as u64;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Bytes)>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy(blocks: &[(u64, Bytes)], out: &mut [u8], offset: u64) -> Option<usize> {
    blocks.iter().find_map(|(start, block)| {
        let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
        let held = block.get(from..).filter(|held| !held.is_empty())?;
        let n = held.len().min(out.len());
        out[..n].copy_from_slice(&held[..n]);
        Some(n)
    })
}

impl ReadAt for Remote {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || out.is_empty() {
            return Ok(0);
        }
        let held = copy(&self.end, out, offset).or_else(|| copy(&self.lock(), out, offset));
        if let Some(n) = held {
            return Ok(n);
        }
        let end = offset
            .saturating_add((out.len() as u64).max(BLOCK))
            .min(self.size);
        let block = self.handle.block_on(self.fetch(offset..end))?;
        let n = copy(&[(offset, block.clone())], out, offset);
        self.remember(offset, block);
        n.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
