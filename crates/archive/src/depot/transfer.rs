use std::io::{self, Read, Write as _};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::keys::{Keys, Receipt};
use super::pieces::{PIECE, blocks};
use super::{Depot, blocking};
use crate::{
    Digest, Error, OpenOptions, Refusal, Report, Result, Strictness, Watch, verify_stream,
};

/// Pieces that are between the network and whoever reads.
const PIECES: usize = 2;

/// What comes of a download.
enum Sent {
    Block(Bytes),
    /// A piece is over, and what it holds makes room for another.
    End(OwnedSemaphorePermit),
}

/// The bytes of a download, for code that blocks.
struct Incoming {
    sent: mpsc::UnboundedReceiver<Result<Sent>>,
    block: Bytes,
    hasher: Sha256,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            match self.sent.blocking_recv() {
                None => return Ok(0),
                Some(sent) => match sent.map_err(Error::into_io)? {
                    Sent::Block(block) => self.block = block,
                    Sent::End(room) => drop(room),
                },
            }
            self.hasher.update(&self.block);
        }
        let n = out.len().min(self.block.len());
        out[..n].copy_from_slice(&self.block.split_to(n));
        Ok(n)
    }
}

/// Streams an object of this size into `work`, which blocks.
async fn stream<T: Send + 'static>(
    depot: &Depot,
    key: &object_store::path::Path,
    size: u64,
    work: impl FnOnce(&mut Incoming) -> Result<T> + Send + 'static,
) -> Result<(T, Digest)> {
    // Room is waited for between pieces alone: a request that is under way is never held up, and
    // so cannot run out of its time for a reader that is slow.
    let (sender, sent) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(PIECES));
    let worker = blocking(move || {
        let mut incoming = Incoming {
            sent,
            block: Bytes::new(),
            hasher: Sha256::new(),
        };
        let result = work(&mut incoming)?;
        // What the work did not look at counts for the hash all the same.
        io::copy(&mut incoming, &mut io::sink()).map_err(Error::io("reading the download"))?;
        Ok((result, Digest::finish(incoming.hasher)))
    });
    let feeder = async move {
        let mut at = 0;
        while at < size {
            let room = Arc::clone(&room).acquire_owned().await;
            let room = room.expect("nobody closes it");
            let end = size.min(at + PIECE);
            // Where nobody listens the worker gave up, and says why.
            let each = |block| drop(sender.send(Ok(Sent::Block(block))));
            let sent = blocks(&*depot.store, key, at..end, size, each).await;
            at = if sent.is_ok() { end } else { size };
            drop(sender.send(sent.map(|()| Sent::End(room))));
        }
    };
    match select(pin!(worker), pin!(feeder)).await {
        Either::Left((done, _)) => done,
        Either::Right(((), worker)) => worker.await,
    }
}

/// Verifies an object as an archive; and the SHA-256 of its bytes.
pub(super) async fn verify(
    depot: &Depot,
    key: &object_store::path::Path,
    size: u64,
    watch: Watch,
) -> Result<(Report, Digest)> {
    let options = OpenOptions::new().strictness(Strictness::Lenient);
    stream(depot, key, size, move |incoming| {
        verify_stream(incoming, &options, &watch)
    })
    .await
}

/// Downloads to a file beside `path`, which gets the name once its bytes are proven.
pub(super) async fn download(
    depot: &Depot,
    keys: &Keys,
    receipt: &Receipt,
    path: &Path,
) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Exists(path.to_owned()));
    }
    let fail = |path: &Path| Error::io(format!("writing {}", path.display()));
    let target = path.to_owned();
    let work = move |incoming: &mut Incoming| {
        let folder = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => Path::new(".").to_owned(),
        };
        let mut part = tempfile::Builder::new()
            .prefix(".stillpoint-")
            .suffix(".part")
            .tempfile_in(&folder)
            .map_err(fail(&target))?;
        io::copy(incoming, part.as_file_mut()).map_err(fail(&target))?;
        part.as_file_mut().flush().map_err(fail(&target))?;
        part.as_file().sync_all().map_err(fail(&target))?;
        Ok((part, folder))
    };
    let ((part, folder), sha256) = stream(depot, &keys.archive(), receipt.size, work).await?;
    if sha256 != receipt.sha256 {
        return Err(Refusal::HashMismatch.of(&*keys.id));
    }
    let path = path.to_owned();
    blocking(move || {
        part.persist_noclobber(&path)
            .map_err(|e| match e.error.kind() {
                io::ErrorKind::AlreadyExists => Error::Exists(path.clone()),
                _ => fail(&path)(e.error),
            })?;
        let folder = std::fs::File::open(&folder).map_err(fail(&path))?;
        folder.sync_all().map_err(fail(&path))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    /// Whoever reads slowly is waited for between two requests.
    #[tokio::test]
    async fn only_two_pieces_are_ahead_of_the_reader() {
        let store = Arc::new(InMemory::new());
        let key = object_store::path::Path::from("large");
        let size = 6 * PIECE;
        let bytes = vec![7; size as usize];
        store.put(&key, bytes.into()).await.unwrap();
        let depot = Depot::new(store, "").unwrap();
        let slow = |incoming: &mut Incoming| {
            incoming.read_exact(&mut [0]).unwrap();
            std::thread::sleep(Duration::from_millis(300));
            Ok(incoming.sent.len())
        };
        let (waiting, _) = stream(&depot, &key, size, slow).await.unwrap();
        // The rest of two pieces, each a block and its end.
        assert!(waiting <= 3, "{waiting}");
    }
}
