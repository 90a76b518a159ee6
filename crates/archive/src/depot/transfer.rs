use std::io::{self, Read, Write as _};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::keys::{Keys, Receipt};
use super::pieces::{PIECE, piece};
use super::{Depot, blocking};
use crate::{
    Digest, Error, OpenOptions, Refusal, Report, Result, Strictness, Watch, verify_stream,
};

/// Pieces that wait between the network and whoever reads.
const AHEAD: usize = 1;

/// The bytes of a download, for code that blocks.
struct Incoming {
    pieces: mpsc::Receiver<Result<Bytes>>,
    piece: Bytes,
    hasher: Sha256,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece.map_err(Error::into_io)?,
            }
            self.hasher.update(&self.piece);
        }
        let n = out.len().min(self.piece.len());
        out[..n].copy_from_slice(&self.piece.split_to(n));
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
    let (sender, pieces) = mpsc::channel(AHEAD);
    let worker = blocking(move || {
        let mut incoming = Incoming {
            pieces,
            piece: Bytes::new(),
            hasher: Sha256::new(),
        };
        let result = work(&mut incoming)?;
        // What the work did not look at counts for the hash all the same.
        io::copy(&mut incoming, &mut io::sink()).map_err(Error::io("reading the download"))?;
        Ok((result, Digest::finish(incoming.hasher)))
    });
    // While a piece waits no request is under way, which could run out of time.
    let feeder = async move {
        let mut at = 0;
        while at < size {
            let end = size.min(at + PIECE);
            let piece = piece(&*depot.store, key, at..end, size).await;
            at = if piece.is_ok() { end } else { size };
            // The worker gave up: it says why.
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    };
    futures_util::future::join(worker, feeder).await.0
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
