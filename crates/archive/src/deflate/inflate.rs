use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{DecompressionError, Decompressor};

use super::stored;
use crate::Refusal;
use crate::direct::Buffer;

/// Unpacks what is in memory; kept by a worker.
pub(crate) struct Inflater {
    /// For chunks: the quicker one, which does not say how much it has read.
    chunks: Decompressor,
    /// Put behind each chunk, and so the end of what it unpacks to, if all of it was read. Nobody
    /// who makes an archive can know it.
    mark: [u8; 8],
    /// For streams that end by themselves: says how much it has read.
    wholes: Decompress,
}

impl Inflater {
    /// Bytes that what it is given to unpack grows by.
    pub(crate) const MARK: usize = stored::size(8);

    pub(crate) fn new() -> Self {
        Inflater {
            chunks: Decompressor::new(),
            mark: RandomState::new().hash_one("chunk").to_le_bytes(),
            wholes: Decompress::new(false),
        }
    }

    /// Unpacks a whole stream of exactly `size` bytes, with nothing after it.
    pub(crate) fn whole(
        &mut self,
        packed: &[u8],
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        self.wholes.reset(false);
        // One byte of room too many: data that goes on past `size` shows itself. What is there of
        // before is written over.
        out.resize(size + 1, 0);
        let status = self
            .wholes
            .decompress(packed, out, FlushDecompress::None)
            .map_err(|e| Refusal::DamagedData(e.to_string()))?;
        let (read, made) = (
            self.wholes.total_in() as usize,
            self.wholes.total_out() as usize,
        );
        out.truncate(made);
        if made > size {
            return Err(wrong_size(made, size));
        }
        if status != Status::StreamEnd {
            return Err(damaged("its end is missing"));
        }
        if read != packed.len() {
            return Err(Refusal::TrailingData((packed.len() - read) as u64));
        }
        match made == size {
            true => Ok(()),
            false => Err(wrong_size(made, size)),
        }
    }

    /// Unpacks one chunk, whose blocks go on in the next one. `packed` is longer afterwards.
    pub(crate) fn chunk(
        &mut self,
        packed: &mut Vec<u8>,
        size: usize,
        out: &mut Buffer,
    ) -> Result<(), Refusal> {
        let start = packed.len();
        stored::add(&self.mark, packed);
        // The last block of all.
        packed[start] = 1;
        out.resize(size + self.mark.len());
        let made = match self.chunks.deflate_decompress(packed, out) {
            Ok(made) => made,
            Err(DecompressionError::InsufficientSpace) => return Err(wrong_size(size + 1, size)),
            Err(DecompressionError::BadData) => return Err(damaged("it is no DEFLATE")),
        };
        let Some(content) = out[..made].strip_suffix(&self.mark).map(<[u8]>::len) else {
            return Err(damaged("it ends inside the entry"));
        };
        out.resize(content);
        match content == size {
            true => Ok(()),
            false => Err(wrong_size(content, size)),
        }
    }
}

fn damaged(what: &str) -> Refusal {
    Refusal::DamagedData(what.to_owned())
}

fn wrong_size(found: usize, recorded: usize) -> Refusal {
    Refusal::SizeMismatch {
        found: found as u64,
        recorded: recorded as u64,
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::{Packer, STREAM_END};

    fn chunk(packed: &[u8], size: usize) -> Result<Vec<u8>, Refusal> {
        let mut out = Buffer::default();
        let unpacked = Inflater::new().chunk(&mut packed.to_vec(), size, &mut out);
        unpacked.map(|()| out.to_vec())
    }

    #[test]
    fn a_chunk_is_all_of_its_bytes_and_nothing_more() {
        let text = b"a chunk of text, a chunk of text".repeat(9);
        let packed = Packer::new(6).chunk(&text);
        assert_eq!(chunk(&packed, text.len()), Ok(text.clone()));
        for size in [text.len() - 1, text.len() + 1] {
            let refused = chunk(&packed, size).unwrap_err();
            assert!(matches!(refused, Refusal::SizeMismatch { .. }), "{size}");
        }
        for length in 0..packed.len() {
            assert!(chunk(&packed[..length], text.len()).is_err(), "{length}");
        }
        for more in [&[0][..], &[1], &STREAM_END, b"and more"] {
            assert!(chunk(&[&packed, more].concat(), text.len()).is_err());
        }
        // It ends all of the stream, with or without something behind.
        let mut ended = Packer::new(6).whole(&text).unwrap();
        let inside = Refusal::DamagedData("it ends inside the entry".to_owned());
        assert_eq!(chunk(&ended, text.len()), Err(inside.clone()));
        ended.extend(b"hidden");
        assert_eq!(chunk(&ended, text.len()), Err(inside));
    }
}
