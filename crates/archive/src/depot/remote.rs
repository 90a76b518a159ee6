use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::runtime::Handle;

use super::{Depot, blocking, failed};
use crate::read::ReadAt;
use crate::zip::End;
use crate::{Archive, Error, OpenOptions, Result};

/// Bytes at the end of an archive that are fetched first: they hold the directory and the
/// manifest of most.
const TAIL: u64 = 2 << 20;
/// Bytes fetched at least.
const BLOCK: u64 = 256 << 10;
/// Blocks that are remembered, besides the tail.
const BLOCKS: usize = 8;

/// An archive in a depot, read where it is.
#[derive(Clone, Debug)]
pub struct RemoteArchive {
    archive: Archive,
    requests: Arc<AtomicU64>,
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
        let (archive, name) = (self.archive.clone(), name.to_owned());
        blocking(move || archive.read(&name)).await
    }

    /// Reads part of an entry, checked.
    ///
    /// # Errors
    /// As [`Archive::read_range`].
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (archive, name) = (self.archive.clone(), name.to_owned());
        blocking(move || archive.read_range(&name, range)).await
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

pub(super) async fn open(
    depot: &Depot,
    id: &str,
    key: Path,
    options: OpenOptions,
) -> Result<RemoteArchive> {
    let requests = Arc::new(AtomicU64::new(0));
    let tail = GetOptions {
        range: Some(GetRange::Suffix(TAIL)),
        ..GetOptions::default()
    };
    requests.fetch_add(1, Ordering::Relaxed);
    let found = match depot.store.get_opts(&key, tail).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(Error::NoSuchEntry(id.to_owned()));
        }
        Err(e) => return Err(failed(&format!("reading {key}"))(e)),
    };
    let size = found.meta.size;
    let start = found.range.start;
    let tail = found
        .bytes()
        .await
        .map_err(failed(&format!("reading {key}")))?;
    let mut source = Remote {
        store: Arc::clone(&depot.store),
        key,
        size,
        handle: Handle::current(),
        tail: vec![(start, tail)],
        blocks: Mutex::default(),
        requests: Arc::clone(&requests),
    };
    source.fetch_directory().await?;
    let archive = blocking(move || options.headers_on_read().open_source(source)).await?;
    Ok(RemoteArchive { archive, requests })
}

/// An object as a source: blocks of it, fetched as they are asked for.
struct Remote {
    store: Arc<dyn ObjectStore>,
    key: Path,
    size: u64,
    handle: Handle,
    /// The end of the object, which is asked for again and again.
    tail: Vec<(u64, Bytes)>,
    blocks: Mutex<Vec<(u64, Bytes)>>,
    requests: Arc<AtomicU64>,
}

impl Remote {
    /// Fetches what the tail lacks of the directory, and as much before it as a manifest of so
    /// many entries takes.
    async fn fetch_directory(&mut self) -> Result<()> {
        let (start, tail) = &self.tail[0];
        let end = End::decode(tail, self.size)?;
        if end.offset >= *start {
            return Ok(());
        }
        let range = end.offset.saturating_sub(end.size + (end.size >> 1))..*start;
        let block = self
            .fetch(range.clone())
            .await
            .map_err(Error::io("reading the archive"))?;
        self.tail.push((range.start, block));
        Ok(())
    }

    async fn fetch(&self, range: Range<u64>) -> io::Result<Bytes> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let options = GetOptions {
            range: Some(range.into()),
            ..GetOptions::default()
        };
        let found = self
            .store
            .get_opts(&self.key, options)
            .await
            .map_err(io::Error::other)?;
        found.bytes().await.map_err(io::Error::other)
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
        let lock = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let held = copy(&self.tail, out, offset).or_else(|| copy(&lock(), out, offset));
        if let Some(n) = held {
            return Ok(n);
        }
        let end = offset
            .saturating_add((out.len() as u64).max(BLOCK))
            .min(self.size);
        let block = self.handle.block_on(self.fetch(offset..end))?;
        let n = copy(&[(offset, block.clone())], out, offset);
        let mut blocks = lock();
        if blocks.len() >= BLOCKS {
            blocks.remove(0);
        }
        blocks.push((offset, block));
        n.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
