use std::fmt;
use std::io::{self, Read as _, Write};

use sha2::{Digest as _, Sha256};

use super::batch::Pending;
use super::jobs::{Head, Job, Piece, Sealing, Small, SmallContent};
use super::writer::Writer;
use crate::chunk::{CHUNK, ZEROS, looks_packed};
use crate::zip::Method;
use crate::{Digest, Error, Result};

/// Takes the content of one entry: bytes by [`Write`], stretches of zeros by [`hole`](Self::hole).
///
/// The entry is there once [`finish`](Self::finish) was called; a writer that is dropped before
/// spoils the archive, which then cannot be finished.
pub struct EntryWriter<'a, 'w> {
    writer: &'a mut Writer<'w>,
    head: Option<Head>,
    promised: Option<u64>,
    size: u64,
    buffer: Vec<u8>,
    /// Set once the entry turned out to be large.
    large: Option<Large>,
}

struct Large {
    method: Method,
    sealing: Option<Sealing>,
    chunks: u64,
    sha256: Sha256,
}

impl<'a, 'w> EntryWriter<'a, 'w> {
    pub(super) fn new(writer: &'a mut Writer<'w>, head: Head, promised: Option<u64>) -> Self {
        writer.spoilt = true;
        let (head, buffer) = (Some(head), Vec::new());
        EntryWriter {
            writer,
            head,
            promised,
            size: 0,
            buffer,
            large: None,
        }
    }

    /// Adds `length` zero bytes. Whole chunks of them cost next to nothing here and on restore.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn hole(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            if self.buffer.is_empty() && length > CHUNK as u64 {
                self.begin_large(&ZEROS)?;
                self.send(Piece::Zeros)?;
                length -= CHUNK as u64;
                self.size += CHUNK as u64;
            } else {
                let n = length.min(CHUNK as u64) as usize;
                self.write_some(&ZEROS[..n])?;
                length -= n as u64;
            }
        }
        Ok(())
    }

    /// Ends the entry.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if another size was promised; else as [`Writer::finish`].
    pub fn finish(mut self) -> Result<()> {
        if self.promised.is_some_and(|promised| promised != self.size) {
            let name = self.head.as_ref().map_or("an entry", |head| &head.name);
            let promised = self.promised.unwrap_or_default();
            return Err(Error::Unsupported(format!(
                "{name}: {} bytes came, {promised} were promised",
                self.size
            )));
        }
        let buffer = std::mem::take(&mut self.buffer);
        if self.large.is_none() {
            let head = self.head.take().expect("taken only here and when large");
            self.writer.small(Small {
                head,
                content: SmallContent::Bytes(buffer),
            })?;
        } else {
            if !buffer.is_empty() {
                self.send(Piece::Bytes(buffer))?;
            }
            let large = self.large.take().expect("checked above");
            self.writer
                .push(Pending::End(Digest::finish(large.sha256)))?;
        }
        self.writer.spoilt = false;
        Ok(())
    }

    fn write_some(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            // A full buffer goes out only when more comes: it may be the whole entry.
            if self.buffer.len() == CHUNK {
                let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
                self.begin_large(&full)?;
                self.send(Piece::Bytes(full))?;
            }
            let n = bytes.len().min(CHUNK - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Adds exactly `length` bytes of `source`; gives how many came if it ended before.
    pub(super) fn take_from(&mut self, source: impl io::Read, length: u64) -> io::Result<u64> {
        let mut source = source.take(length);
        let start = self.size;
        loop {
            if self.buffer.len() == CHUNK && source.limit() > 0 {
                let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
                self.begin_large(&full).map_err(Error::into_io)?;
                self.send(Piece::Bytes(full)).map_err(Error::into_io)?;
            }
            let room = (CHUNK - self.buffer.len()) as u64;
            self.buffer.reserve_exact(room as usize);
            let n = (&mut source).take(room).read_to_end(&mut self.buffer)? as u64;
            self.size += n;
            if n == 0 {
                return Ok(self.size - start);
            }
        }
    }

    /// Whether all of the entry is to be stored as it is: as its start is, in so small an entry. A
    /// disk may begin with anything, and its zeros would be stored as well; there each chunk is
    /// looked at for itself.
    fn starts_packed(&self, first: &[u8]) -> bool {
        const FILE: u64 = 64 << 20;
        self.promised.is_some_and(|size| size <= FILE) && looks_packed(first)
    }

    fn begin_large(&mut self, first: &[u8]) -> Result<()> {
        if self.large.is_some() {
            return Ok(());
        }
        let head = self.head.take().expect("taken only here and at the end");
        let sealing = head.seal.clone();
        let method = match (&sealing, self.writer.can_patch()) {
            (Some(_), true) => Method::Store,
            (None, true) if self.starts_packed(first) => Method::Store,
            (None, true) => self.writer.method(),
            // Without sizes before the data, only DEFLATE shows where it ends.
            (_, false) => Method::Deflate,
        };
        self.writer
            .push(Pending::Begin(head, method, self.promised))?;
        self.large = Some(Large {
            method,
            sealing,
            chunks: 0,
            sha256: Sha256::new(),
        });
        Ok(())
    }

    fn send(&mut self, piece: Piece) -> Result<()> {
        let large = self.large.as_mut().expect("begun");
        let bytes = match &piece {
            Piece::Bytes(bytes) => &bytes[..],
            Piece::Zeros => &ZEROS,
        };
        large.sha256.update(bytes);
        self.writer.watch().add(bytes.len() as u64)?;
        let seal = large
            .sealing
            .as_ref()
            .map(|sealing| (sealing.key.clone(), large.chunks));
        large.chunks += 1;
        let method = large.method;
        self.writer.job(Job::Chunk {
            piece,
            method,
            seal,
        })
    }
}

impl Write for EntryWriter<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_some(bytes).map_err(Error::into_io)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for EntryWriter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryWriter")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
