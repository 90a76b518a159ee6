//! Reads every content once, on all cores, and proves it; extraction listens in.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::worker::{Done, Job, Take, Worker};
use crate::chunk::CHUNK;
use crate::deflate::{STREAM_END, stored};
use crate::pool::{Pool, default_workers};
use crate::read::{Spares, Unpacker};
use crate::seal::Frames;
use crate::zip::{Kind, Method};
use crate::{Archive, Digest, Refusal, Result, Watch};

/// What to walk.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    /// Leave out all other entries, and open sealed ones without checking their ciphertext
    /// first: that they open proves it.
    pub(crate) only: Option<&'a dyn Fn(usize) -> bool>,
    pub(crate) workers: usize,
}

impl Default for Walk<'_> {
    fn default() -> Self {
        Walk {
            only: None,
            workers: default_workers(),
        }
    }
}

/// What is awaited, in order.
enum Pending {
    Smalls(u64),
    Raw,
    Chunk,
    Span,
    /// All chunks of this entry are through.
    End(usize),
}

/// Entries up to this size are unpacked in memory.
const IN_MEMORY: u64 = 4 * CHUNK as u64;

/// Proves every content. Gives the SHA-256 of each file's plaintext, where it was seen.
pub(crate) fn walk(
    archive: &Archive,
    options: Walk<'_>,
    watch: &Watch,
    take: Option<Arc<dyn Take>>,
) -> Result<Vec<Option<Digest>>> {
    let total = super::contents(archive);
    let spares = Spares::default();
    let make = || {
        let mut worker = Worker::new(archive.clone(), spares.clone(), take.clone());
        move |job| worker.run(job)
    };
    let mut walker = Walker {
        archive,
        options,
        pool: Pool::new(options.workers, make),
        pending: Default::default(),
        digests: vec![None; archive.entries().len()],
        hasher: Sha256::new(),
        crc: crc32fast::Hasher::new(),
        watch: watch.start(Some(total)),
        batch: Vec::new(),
        batched: 0,
        covers: options.only.is_none() && archive.root().is_some(),
        covered: crc32fast::Hasher::new(),
        covered_to: 0,
        spares: spares.clone(),
    };
    for index in 0..archive.entries().len() {
        let view = archive.view(index);
        if view.kind() == Kind::Directory && view.entry.stored == 0 {
            continue;
        }
        if options.only.is_some_and(|only| !only(index)) {
            walker.flush()?;
            continue;
        }
        let in_one_piece = view.record.is_none_or(|record| record.chunks.is_empty());
        let weight = view.entry.size.max(view.entry.stored);
        if in_one_piece && !view.is_sealed() && weight <= IN_MEMORY {
            walker.batched += weight + 64;
            walker.batch.push(index);
            if walker.batched >= CHUNK as u64 / 2 {
                walker.flush()?;
            }
            continue;
        }
        // A batch holds neighbours only: it is read in one go.
        walker.flush()?;
        walker.large(index)?;
    }
    walker.flush()?;
    walker.cover(archive.0.directory.end.offset)?;
    while !walker.pending.is_empty() {
        walker.settle()?;
    }
    if walker.covers {
        let manifest = archive
            .0
            .directory
            .entries
            .iter()
            .find_map(|entry| entry.coverage);
        super::covered(manifest, walker.covered.finalize())?;
    }
    Ok(walker.digests)
}

struct Walker<'a> {
    archive: &'a Archive,
    options: Walk<'a>,
    pool: Pool<Job, Result<Done>>,
    pending: std::collections::VecDeque<Pending>,
    digests: Vec<Option<Digest>>,
    /// Of the large entry that is passing.
    hasher: Sha256,
    crc: crc32fast::Hasher,
    watch: Watch,
    batch: Vec<usize>,
    batched: u64,
    /// Whether the archive as a whole is to be proven, and how far it was.
    covers: bool,
    covered: crc32fast::Hasher,
    covered_to: u64,
    spares: Spares,
}

impl Walker<'_> {
    /// Reads the archive as bytes up to here: close behind the walk, while they are in memory.
    fn cover(&mut self, to: u64) -> Result<()> {
        while self.covers && self.covered_to < to {
            let offset = self.covered_to;
            let length = (to - offset).min(CHUNK as u64);
            self.covered_to += length;
            self.push(Job::Span { offset, length }, Pending::Span)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(first) = self.batch.first() {
            let at = self.archive.0.directory.entries[*first].offset;
            self.cover(at)?;
        }
        let bytes = std::mem::take(&mut self.batched);
        match std::mem::take(&mut self.batch) {
            batch if batch.is_empty() => Ok(()),
            batch => self.push(Job::Smalls(batch), Pending::Smalls(bytes)),
        }
    }

    fn large(&mut self, index: usize) -> Result<()> {
        let view = self.archive.view(index);
        let sealed = view.is_sealed();
        if sealed && self.options.only.is_none() {
            self.push(Job::Raw(index), Pending::Raw)?;
        }
        if sealed && !self.archive.is_unlocked() {
            return Ok(());
        }
        let places = self.archive.places(index)?;
        if places.is_empty() {
            return self.push(Job::Stream(index), Pending::Smalls(view.size()));
        }
        let key = self.archive.entry_key(index)?.map(Arc::new);
        for (number, place) in places.into_iter().enumerate() {
            let end = place.offset + place.stored;
            self.push(
                Job::Chunk {
                    index,
                    number,
                    place,
                    key: key.clone(),
                },
                Pending::Chunk,
            )?;
            self.cover(end)?;
        }
        self.pending.push_back(Pending::End(index));
        Ok(())
    }

    fn push(&mut self, job: Job, pending: Pending) -> Result<()> {
        while self.pool.waiting() >= self.pool.window() {
            self.settle()?;
        }
        self.pool.push(job);
        self.pending.push_back(pending);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        let Some(pending) = self.pending.pop_front() else {
            return Ok(());
        };
        if let Pending::End(index) = pending {
            return self.end(index);
        }
        let done = self.pool.pop().expect("one result a job")?;
        match (pending, done) {
            (Pending::Smalls(bytes), Done::Digests(digests)) => {
                for (index, digest) in digests {
                    self.digests[index] = Some(digest);
                }
                self.watch.add(bytes)
            }
            (_, Done::Digests(_)) => Ok(()),
            (_, Done::Span(crc)) => {
                self.covered.combine(&crc);
                Ok(())
            }
            (_, Done::Chunk(unpacked, crc)) => {
                let bytes = unpacked.as_slice();
                let length = bytes.len() as u64;
                self.hasher.update(bytes);
                self.crc
                    .combine(&crc32fast::Hasher::new_with_initial_len(crc, length));
                self.spares.give(unpacked);
                self.watch.add(length)
            }
        }
    }

    /// Proves a large entry all of whose chunks passed.
    fn end(&mut self, index: usize) -> Result<()> {
        let view = self.archive.view(index);
        let fail = |reason: Refusal| reason.of_at(view.name(), view.entry.offset);
        let digest = Digest::finish(std::mem::take(&mut self.hasher));
        let crc = std::mem::take(&mut self.crc).finalize();
        let record = view.record.expect("only recorded entries have chunks");
        match view.is_sealed() {
            true => self.check_last_frame(index, digest)?,
            false => {
                if crc != view.entry.crc {
                    let recorded = view.entry.crc;
                    return Err(fail(Refusal::CrcMismatch {
                        found: crc,
                        recorded,
                    }));
                }
                if digest != record.sha256 {
                    return Err(fail(Refusal::HashMismatch));
                }
                self.check_stream_end(index)?;
            }
        }
        self.digests[index] = Some(digest);
        Ok(())
    }

    /// After the last chunk of a DEFLATE stream stands its end and nothing else.
    fn check_stream_end(&self, index: usize) -> Result<()> {
        let entry = &self.archive.0.directory.entries[index];
        if entry.method != Method::Deflate {
            return Ok(());
        }
        let mut unpacker = Unpacker::new();
        let length = STREAM_END.len() as u64;
        let at = self.archive.data_offset(index)? + entry.stored - length;
        match unpacker.stored(self.archive, at, length)? == STREAM_END {
            true => Ok(()),
            false => {
                Err(Refusal::DamagedData("its end is damaged".to_owned()).of_at(&*entry.name, at))
            }
        }
    }

    fn check_last_frame(&self, index: usize, digest: Digest) -> Result<()> {
        let view = self.archive.view(index);
        let key = self.archive.entry_key(index)?.expect("sealed");
        let mut unpacker = Unpacker::new();
        let length = view.method().end_of_chunks(true);
        let at = self.archive.data_offset(index)? + view.stored() - length;
        let fail = |reason: Refusal| reason.of_at(view.name(), at);
        let mut frame = unpacker.stored(self.archive, at, length)?.to_vec();
        if view.method() == Method::Deflate {
            let blocks = frame.strip_suffix(&STREAM_END).and_then(stored::contents);
            frame = blocks.ok_or_else(|| fail(Refusal::Seal))?;
        }
        let chunks = view.record.expect("sealed").chunks.len() as u64;
        Frames::check_last(&key, chunks, &frame, digest, view.size()).map_err(fail)
    }
}
