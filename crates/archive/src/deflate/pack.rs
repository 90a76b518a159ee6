use std::fmt;

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::last::{Blocks, PADDING};
use super::stored;
use crate::chunk::is_noise;
use crate::direct::Buffer;

/// Packs; kept by a worker, so that its tables are made once.
pub(crate) struct Packer {
    engine: Compressor,
    /// Unpacks what was packed, to see that it is what went in.
    proof: Decompressor,
    unpacked: Buffer,
    blocks: Blocks,
    /// What was packed last, and what is left of before behind it: new memory for each would be
    /// cleared for nothing, twice.
    packed: Vec<u8>,
}

/// What our levels are there, from 1 on: its 4 makes the sizes that zlib's 6 does, or 1 to 2 % more
/// where zlib looks back over the start of a chunk; its 5 smaller ones than zlib's 9.
const LEVELS: [i32; 9] = [1, 2, 2, 3, 3, 4, 5, 7, 9];

impl Packer {
    /// For a level from 1 to 9.
    pub(crate) fn new(level: u32) -> Self {
        let level = LEVELS[level as usize - 1];
        let level = CompressionLvl::new(level).expect("it has 12");
        Packer {
            engine: Compressor::new(level),
            proof: Decompressor::new(),
            unpacked: Buffer::default(),
            blocks: Blocks::default(),
            packed: Vec::new(),
        }
    }

    /// Adds a whole stream to `out`, proven to unpack to `input`; nothing and false where it is
    /// better stored as it is.
    pub(crate) fn whole(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(length) = self.pack(input).filter(|length| *length < input.len()) else {
            return false;
        };
        out.extend_from_slice(&self.packed[..length]);
        true
    }

    /// Adds blocks to `out` that need nothing before them, end on a byte and are proven to unpack to
    /// `input`; streams are joined of these and [`STREAM_END`](super::STREAM_END).
    pub(crate) fn chunk(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if is_noise(input) {
            return stored::blocks(input, out);
        }
        let Some(length) = self.pack(input) else {
            return stored::blocks(input, out);
        };
        let last = self.blocks.last(&self.packed[..length + PADDING]);
        let last = last.expect("it was just unpacked");
        self.packed[last.header / 8] &= !(1 << (last.header % 8));
        // An empty stored block, so that a byte ends it. Its three bits are zero, as the rest of
        // the last byte is; where that has no room for them they need another.
        let sync: &[u8] = match last.end % 8 {
            1..=5 => &[0, 0, 0xff, 0xff],
            _ => &[0, 0, 0, 0xff, 0xff],
        };
        if length + sync.len() > stored::size(input.len()) {
            return stored::blocks(input, out);
        }
        out.reserve_exact(length + sync.len());
        out.extend_from_slice(&self.packed[..length]);
        out.extend_from_slice(sync);
    }

    /// Packs into `packed`, which has room behind it for what [`Blocks::last`] reads; gives the
    /// length of the stream, but where it does not unpack to what went in.
    fn pack(&mut self, input: &[u8]) -> Option<usize> {
        let most = self.engine.deflate_compress_bound(input.len());
        if self.packed.len() < most + PADDING {
            self.packed.resize(most + PADDING, 0);
        }
        let packed = self
            .engine
            .deflate_compress(input, &mut self.packed[..most]);
        let length = packed.expect("there is room for the longest");
        self.unpacked.resize(input.len());
        let stream = &self.packed[..length];
        let unpacked = self.proof.deflate_decompress(stream, &mut self.unpacked);
        (unpacked == Ok(input.len()) && *self.unpacked == *input).then_some(length)
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deflate::{Inflater, STREAM_END};
    use crate::direct::Buffer;

    fn check(parts: &[Vec<u8>], level: u32) {
        let mut packer = Packer::new(level);
        let (mut joined, mut out) = (Vec::new(), Vec::new());
        let mut chunk = Buffer::default();
        for part in parts {
            let start = joined.len();
            packer.chunk(part, &mut joined);
            Inflater::new()
                .chunk(&mut joined[start..].to_vec(), part.len(), &mut chunk)
                .unwrap();
            assert!(*chunk == **part);
        }
        joined.extend(STREAM_END);
        let whole = parts.concat();
        Inflater::new()
            .whole(&joined, whole.len(), &mut out)
            .unwrap();
        assert!(out == whole);
        let mut once = Vec::new();
        if packer.whole(&whole, &mut once) {
            Inflater::new().whole(&once, whole.len(), &mut out).unwrap();
            assert!(out == whole && once.len() < whole.len());
        } else {
            assert!(once.is_empty());
        }
    }

    #[test]
    fn shapes_that_are_easy_to_get_wrong() {
        let phrase = b"a phrase that comes back after exactly one window ".to_vec();
        let mut far = phrase.clone();
        far.extend((0..32_768 - phrase.len()).map(|n| (n * 7 % 251) as u8));
        far.extend(&phrase);
        far.extend(&phrase);
        let noise: Vec<u8> = (0..70_000u64)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8)
            .collect();
        let skewed: Vec<u8> = (0..40u32)
            .flat_map(|n| vec![n as u8; 1 << (n / 3)])
            .collect();
        for level in 1..=9 {
            for content in [
                &far,
                &noise,
                &skewed,
                &vec![0; 100_000],
                &vec![],
                &vec![7],
                &vec![7; 3],
            ] {
                check(std::slice::from_ref(content), level);
            }
            check(&[far.clone(), noise.clone(), far.clone()], level);
        }
    }

    #[test]
    fn text_packs_as_small_as_zlib_packs_it() {
        let text: Vec<u8> = (0..60_000u64)
            .flat_map(|n| {
                let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                format!("{n}\tnode-{}\t{:x}\tstarted\n", hash >> 50, hash >> 44).into_bytes()
            })
            .collect();
        let mut packed = Vec::new();
        Packer::new(6).whole(&text, &mut packed);
        let mut zlib = flate2::Compress::new(flate2::Compression::new(6), false);
        let mut peer = Vec::with_capacity(text.len());
        zlib.compress_vec(&text, &mut peer, flate2::FlushCompress::Finish)
            .unwrap();
        assert!(
            packed.len() * 100 < peer.len() * 104,
            "{} {}",
            packed.len(),
            peer.len()
        );
    }

    proptest! {
        #[test]
        fn chunks_join_to_a_stream(
            parts in prop::collection::vec(prop::collection::vec(0u8..9, 0..5000), 0..4),
            level in 1u32..=9,
        ) {
            check(&parts, level);
        }
    }
}
