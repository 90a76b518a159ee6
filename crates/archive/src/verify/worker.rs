//! What workers do: read, unpack and prove pieces of the archive.

use std::io::{self, Read};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::chunk::CHUNK;
use crate::direct::Buffer;
use crate::read::{EntryReader, Place, Spares, Unpacked, Unpacker};
use crate::seal::EntryKey;
use crate::zip::Kind;
use crate::{Archive, Digest, Error, Refusal, Result};

/// Gets contents as they are unpacked, before they are proven.
pub(crate) trait Take: Send + Sync {
    /// Part of a large entry.
    fn part(&self, index: usize, offset: u64, bytes: &Unpacked) -> Result<()>;
    /// A whole small entry, proven.
    fn whole(&self, index: usize, bytes: &[u8]) -> Result<()>;
}

/// A piece of the archive to read and prove.
pub(super) enum Job {
    /// Entries to read whole, neighbours in the archive.
    Smalls(Vec<usize>),
    /// An entry to stream: too large for memory, and not cut.
    Stream(usize),
    /// The ciphertext of a sealed entry.
    Raw(usize),
    /// Bytes as they are, for the CRC-32 of the archive.
    Span { offset: u64, length: u64 },
    Chunk {
        index: usize,
        number: usize,
        place: Place,
        key: Option<Arc<EntryKey>>,
    },
}

pub(super) enum Done {
    Digests(Vec<(usize, Digest)>),
    Chunk(Unpacked, u32),
    Span(crc32fast::Hasher),
}

/// One thread's tools.
pub(super) struct Worker {
    archive: Archive,
    unpacker: Unpacker,
    span: Vec<u8>,
    take: Option<Arc<dyn Take>>,
}

impl Worker {
    pub(super) fn new(archive: Archive, spares: Spares, take: Option<Arc<dyn Take>>) -> Self {
        Worker {
            archive,
            unpacker: Unpacker::with(spares),
            span: Vec::new(),
            take,
        }
    }

    pub(super) fn run(&mut self, job: Job) -> Result<Done> {
        match job {
            Job::Smalls(indexes) => self.smalls(&indexes),
            Job::Stream(index) => self.stream(index),
            Job::Raw(index) => self.raw(index),
            Job::Span { offset, length } => {
                let mut crc = crc32fast::Hasher::new();
                crc.update(self.unpacker.stored(&self.archive, offset, length)?);
                Ok(Done::Span(crc))
            }
            Job::Chunk {
                index,
                number,
                place,
                key,
            } => self.chunk(index, number, place, key),
        }
    }

    fn smalls(&mut self, indexes: &[usize]) -> Result<Done> {
        let start = self.fetch(indexes)?;
        let mut digests = Vec::with_capacity(indexes.len());
        for index in indexes {
            let view = self.archive.view(*index);
            let entry = view.entry;
            let fail = |reason: Refusal| reason.of_at(view.name(), entry.offset);
            let from = (self.archive.data_offset(*index)? - start) as usize;
            let packed = &self.span[from..from + entry.stored as usize];
            let bytes = self
                .unpacker
                .unpack(packed, entry.method, entry.size as usize)
                .map_err(fail)?;
            let found = crc32fast::hash(bytes);
            if found != entry.crc {
                return Err(fail(Refusal::CrcMismatch {
                    found,
                    recorded: entry.crc,
                }));
            }
            let digest = Digest::of(bytes);
            if view
                .record
                .is_some_and(|record| entry.kind() == Kind::File && record.sha256 != digest)
            {
                return Err(fail(Refusal::HashMismatch));
            }
            if let Some(take) = &self.take {
                take.whole(*index, bytes)?;
            }
            digests.push((*index, digest));
        }
        Ok(Done::Digests(digests))
    }

    /// Reads neighbours in one go; gives where the bytes begin.
    fn fetch(&mut self, indexes: &[usize]) -> Result<u64> {
        let (first, last) = (indexes[0], indexes[indexes.len() - 1]);
        let start = self.archive.data_offset(first)?;
        let end = self.archive.data_offset(last)? + self.archive.view(last).stored();
        // What lies between are entries that are walked apart, or directories.
        self.span.resize((end - start) as usize, 0);
        let source = &*self.archive.0.source;
        source
            .read_exact_at(&mut self.span, start)
            .map_err(Error::io("reading the archive"))?;
        Ok(start)
    }

    fn stream(&mut self, index: usize) -> Result<Done> {
        let name = self.archive.view(index).name().to_owned();
        let fail = || Error::io(format!("reading {name}"));
        let mut reader = EntryReader::new(&self.archive, index)?;
        let mut hasher = Sha256::new();
        let mut offset = 0;
        loop {
            let mut bytes = Buffer::default();
            bytes.resize(CHUNK);
            let n = fill(&mut reader, &mut bytes).map_err(fail())?;
            bytes.resize(n);
            if bytes.is_empty() {
                break;
            }
            hasher.update(&*bytes);
            if let Some(take) = &self.take {
                take.part(index, offset, &Unpacked::Bytes(bytes))?;
            }
            offset += n as u64;
        }
        if offset == 0
            && let Some(take) = &self.take
        {
            take.whole(index, &[])?;
        }
        Ok(Done::Digests(vec![(index, Digest::finish(hasher))]))
    }

    /// Proves the ciphertext of a sealed entry, without opening it.
    fn raw(&mut self, index: usize) -> Result<Done> {
        let mut reader = EntryReader::raw(&self.archive, index)?;
        let name = self.archive.view(index).name();
        std::io::copy(&mut reader, &mut std::io::sink())
            .map_err(Error::io(format!("reading {name}")))?;
        Ok(Done::Digests(Vec::new()))
    }

    fn chunk(
        &mut self,
        index: usize,
        number: usize,
        place: Place,
        key: Option<Arc<EntryKey>>,
    ) -> Result<Done> {
        let view = self.archive.view(index);
        let seal = key.as_deref().map(|key| (key, number as u64));
        let unpacked = self
            .unpacker
            .chunk(&self.archive, view.method(), place, seal)?;
        let record = view.record.expect("only recorded entries have chunks");
        let found = unpacked.crc();
        let recorded = record.chunks[number].1;
        // That a frame opened proves a sealed chunk.
        if seal.is_none() && found != recorded {
            let reason = Refusal::CrcMismatch { found, recorded };
            return Err(reason.of_at(view.name(), place.offset));
        }
        if let Some(take) = &self.take {
            take.part(index, number as u64 * CHUNK as u64, &unpacked)?;
        }
        Ok(Done::Chunk(unpacked, found))
    }
}

/// Reads until `out` is full or nothing more comes; gives how much came.
fn fill(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
