use std::io::Read as _;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use stillpoint_archive::Archive;
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_iaas::CHUNK;
use tokio::sync::mpsc;

use super::{Task, bytes_of};
use crate::document::Document;
use crate::failure::{of_archive, of_reading, stopped};
use crate::place::ArchiveRef;
use crate::vault::blocking;

/// How much is unpacked, and written, at a time.
const READ: usize = 16 * CHUNK;

/// Pieces that wait between the archive and the provider.
const AHEAD: usize = 4;

/// Bytes of a volume, and how far the archive was read with them.
struct Run {
    offset: u64,
    bytes: Bytes,
}

impl Task {
    /// Writes what is not zeros into a volume that is nothing but zeros.
    pub(super) async fn fill(
        &self,
        archive: &ArchiveRef,
        root: Digest,
        part: usize,
    ) -> Result<Value> {
        let volume = self.volume()?;
        let bytes = bytes_of(&**self.provider(volume.provider())?)?;
        let path = self.path(archive)?;
        let (vault, place) = (self.bench.vault.clone(), archive.clone());
        let (archive, entry, size) = blocking(move || {
            let archive = vault.open_same(&path, &place, root)?;
            let mut document = Document::read(&archive, &place)?;
            let missing = || Error::new(ErrorKind::Internal, format!("{place}: no part {part}"));
            let size = document.snapshot.parts.get(part).ok_or_else(missing)?.size;
            Ok((archive, document.volumes.swap_remove(part), size))
        })
        .await?;
        let (sender, mut runs) = mpsc::channel(AHEAD);
        let reading = blocking(move || read(&archive, &entry, &sender));
        let writing = async move {
            let mut meter = self.line.meter(size);
            while let Some(Run { offset, bytes: run }) = runs.recv().await {
                self.line.stop.check()?;
                let end = offset + run.len() as u64;
                bytes.write(volume, offset, run).await?;
                meter.reach(end);
            }
            Ok(())
        };
        let (read, written) = tokio::join!(reading, writing);
        // Where writing failed, the reader only saw that nobody took any more.
        written.and(read)?;
        bytes.flush(volume).await?;
        Ok(Value::Null)
    }
}

/// Sends the runs of chunks that are not zeros. It is over well only when all is proven.
fn read(archive: &Archive, entry: &str, runs: &mpsc::Sender<Run>) -> Result<()> {
    let mut reader = archive
        .reader(entry)
        .map_err(|error| of_archive(&entry, error))?;
    let mut at = 0;
    loop {
        let mut buffer = BytesMut::zeroed(READ);
        let mut filled = 0;
        while filled < READ {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(source) => return Err(of_reading(&entry, source)),
            }
        }
        buffer.truncate(filled);
        let buffer = buffer.freeze();
        for run in data(&buffer) {
            let offset = at + run.start as u64;
            let bytes = buffer.slice(run);
            runs.blocking_send(Run { offset, bytes })
                .map_err(|_| stopped())?;
        }
        at += filled as u64;
        if filled < READ {
            return Ok(());
        }
    }
}

/// The runs of chunks that have a byte other than zero.
fn data(buffer: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (number, chunk) in buffer.chunks(CHUNK).enumerate() {
        if chunk.iter().all(|byte| *byte == 0) {
            continue;
        }
        let start = number * CHUNK;
        let end = start + chunk.len();
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out() {
        let mut buffer = vec![0; 4 * CHUNK + 5];
        assert_eq!(data(&buffer), []);
        for at in [CHUNK, 2 * CHUNK, 4 * CHUNK + 4] {
            buffer[at] = 1;
        }
        assert_eq!(data(&buffer), [CHUNK..3 * CHUNK, 4 * CHUNK..4 * CHUNK + 5]);
    }
}
