//! The bytes of an archive's entry, a stretch at a time, and what of them is no zeros.

use std::io::Read as _;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use stillpoint_archive::{Archive, EntryReader};
use stillpoint_core::Result;
use stillpoint_iaas::CHUNK;

use crate::failure::{of_archive, of_reading};

/// How much is unpacked at a time: whole chunks.
pub(super) const STRETCH: usize = 16 * CHUNK;

static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Reads an entry from its start. Blocks.
pub(super) struct Entry {
    reader: EntryReader,
    name: String,
    at: u64,
}

/// A stretch of an entry.
pub(super) struct Stretch {
    /// Where it starts; a whole number of chunks.
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
}

impl Entry {
    pub(super) fn open(archive: &Archive, name: &str) -> Result<Self> {
        let reader = archive.reader(name);
        Ok(Self {
            reader: reader.map_err(|error| of_archive(&name, error))?,
            name: name.to_owned(),
            at: 0,
        })
    }

    /// The next stretch. One that is not full is the last, and then all of the entry is proven.
    pub(super) fn next(&mut self) -> Result<Stretch> {
        let mut bytes = BytesMut::zeroed(STRETCH);
        let mut filled = 0;
        while filled < STRETCH {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(source) => return Err(of_reading(&self.name, source)),
            }
        }
        bytes.truncate(filled);
        let offset = self.at;
        self.at += filled as u64;
        let bytes = bytes.freeze();
        Ok(Stretch { offset, bytes })
    }
}

impl Stretch {
    pub(super) fn is_last(&self) -> bool {
        self.bytes.len() < STRETCH
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// The runs of chunks that are not zeros, and where they belong.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, Bytes)> + '_ {
        let runs = data(&self.bytes).into_iter();
        runs.map(|run| (self.offset + run.start as u64, self.bytes.slice(run)))
    }
}

/// The runs of chunks that have a byte other than zero.
fn data(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        // The comparison of slices is a vectorised memcmp.
        if chunk == &ZEROS[..chunk.len()] {
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
        let mut bytes = vec![0; 4 * CHUNK + 5];
        assert_eq!(data(&bytes), []);
        for at in [CHUNK, 2 * CHUNK, 4 * CHUNK + 4] {
            bytes[at] = 1;
        }
        assert_eq!(data(&bytes), [CHUNK..3 * CHUNK, 4 * CHUNK..4 * CHUNK + 5]);
    }
}
