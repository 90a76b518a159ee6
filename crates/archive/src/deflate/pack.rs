use std::fmt;

use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::last::{Blocks, Last, PADDING};
use super::{Inflater, stored};
use crate::chunk::{NOISE, spread, spread_throughout};
use crate::direct::Buffer;

/// Packs, and sees that what it packed unpacks to what went in; kept by a worker, so that its tables
/// are made once.
pub(crate) struct Packer {
    engine: Compressor,
    quick: Compressor,
    blocks: Blocks,
    wholes: Decompressor,
    chunks: Inflater,
    /// What was packed last, and what is left of before behind it: new memory for each would be
    /// cleared for nothing, twice.
    packed: Vec<u8>,
    unpacked: Buffer,
}

/// What our levels are there, from 1 on: its 5 makes the sizes that zlib's 6 does, or up to 1 % more.
const LEVELS: [i32; 9] = [1, 2, 2, 3, 4, 5, 6, 7, 9];

/// From so many bits a byte on, the bytes are spread so evenly that what repeats is short: who looks
/// for more finds 3 % of it, and takes twice the time.
const EVEN: f32 = 7.0;
/// Its level for these, and for what is too short to hold much that repeats; up to our level 6.
const QUICK: i32 = 1;
const SHORT: usize = 1 << 10;

impl Packer {
    /// For a level from 1 to 9.
    pub(crate) fn new(level: u32) -> Self {
        let quick = if level <= 6 {
            QUICK
        } else {
            LEVELS[level as usize - 1]
        };
        let engine = |level| Compressor::new(CompressionLvl::new(level).expect("it has 12"));
        Packer {
            engine: engine(LEVELS[level as usize - 1]),
            quick: engine(quick),
            blocks: Blocks::default(),
            wholes: Decompressor::new(),
            chunks: Inflater::new(),
            packed: Vec::new(),
            unpacked: Buffer::default(),
        }
    }

    /// A whole stream that is shorter than `input`; none where it is better stored as it is.
    pub(crate) fn whole(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let is_even = || is_even(input, spread(input).unwrap_or_default());
        let length = self.pack(input, input.len() <= SHORT || is_even());
        let stream = &self.packed[..length];
        (length < input.len()).then_some(())?;
        self.unpacked.resize(input.len());
        let unpacked = self.wholes.deflate_decompress(stream, &mut self.unpacked);
        (unpacked == Ok(input.len()) && *self.unpacked == *input).then(|| stream.to_vec())
    }

    /// Blocks that need nothing before them and end on a byte; streams are joined of these and
    /// [`STREAM_END`](super::STREAM_END).
    pub(crate) fn chunk(&mut self, input: &[u8]) -> Vec<u8> {
        let spread = spread(input).unwrap_or_default();
        if spread > NOISE {
            return stored::blocks(input);
        }
        let length = self.pack(input, is_even(input, spread));
        let stream = &self.packed[..length + PADDING];
        let quick = self.blocks.scan(stream, length);
        let joinable = quick.and_then(|last| self.joinable(input, length, last));
        let joinable = joinable.or_else(|| {
            let last = self.blocks.last(&self.packed[..length + PADDING])?;
            self.joinable(input, length, last)
        });
        joinable.unwrap_or_else(|| stored::blocks(input))
    }

    /// The stream of `length` bytes with a byte border instead of its end; none where this is not
    /// smaller than `input`, or does not unpack to it.
    fn joinable(&mut self, input: &[u8], length: usize, last: Last) -> Option<Vec<u8>> {
        // An empty stored block, so that a byte ends it. Its three bits are zero, as the rest of
        // the last byte is; where that has no room for them they need another.
        let sync: &[u8] = match last.end % 8 {
            1..=5 => &[0, 0, 0xff, 0xff],
            _ => &[0, 0, 0, 0xff, 0xff],
        };
        let joined = length + sync.len();
        (joined <= stored::size(input.len())).then_some(())?;
        let mut blocks = Vec::with_capacity(joined + Inflater::MARK);
        blocks.extend_from_slice(&self.packed[..length]);
        blocks[last.header / 8] &= !(1 << (last.header % 8));
        blocks.extend_from_slice(sync);
        let unpacked = self
            .chunks
            .chunk(&mut blocks, input.len(), &mut self.unpacked);
        blocks.truncate(joined);
        (unpacked.is_ok() && *self.unpacked == *input).then_some(blocks)
    }

    /// Packs into `packed`, which has room behind it for what [`Blocks`] reads; gives the length of
    /// the stream.
    fn pack(&mut self, input: &[u8], is_quick: bool) -> usize {
        let engine = match is_quick {
            true => &mut self.quick,
            false => &mut self.engine,
        };
        let most = engine.deflate_compress_bound(input.len());
        if self.packed.len() < most + PADDING {
            self.packed.resize(most + PADDING, 0);
        }
        let packed = engine.deflate_compress(input, &mut self.packed[..most]);
        packed.expect("there is room for the longest")
    }
}

fn is_even(input: &[u8], spread: f32) -> bool {
    spread > EVEN && spread_throughout(input).is_some_and(|bits| bits > EVEN)
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
            let packed = packer.chunk(part);
            Inflater::new()
                .chunk(&mut packed.clone(), part.len(), &mut chunk)
                .unwrap();
            assert!(*chunk == **part);
            joined.extend(packed);
        }
        joined.extend(STREAM_END);
        let whole = parts.concat();
        Inflater::new()
            .whole(&joined, whole.len(), &mut out)
            .unwrap();
        assert!(out == whole);
        if let Some(once) = packer.whole(&whole) {
            Inflater::new().whole(&once, whole.len(), &mut out).unwrap();
            assert!(out == whole && once.len() < whole.len());
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
    fn blocks_that_unpack_to_something_else_are_not_used() {
        let text = b"a line of text and another line of text\n".repeat(99);
        let mut packer = Packer::new(6);
        let length = packer.pack(&text, false);
        let last = packer.blocks.last(&packer.packed[..length + PADDING]);
        let last = last.unwrap();
        assert!(packer.joinable(&text, length, last).is_some());
        let another = Last {
            header: last.header + 9,
            ..last
        };
        assert_eq!(packer.joinable(&text, length, another), None);
        let mut other = text.clone();
        other[1500] ^= 1;
        assert_eq!(packer.joinable(&other, length, last), None);
    }

    #[test]
    fn levels_are_those_of_what_is_packed() {
        let words: Vec<Vec<u8>> = (0..3000u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[1..7].to_vec())
            .map(|word| word.iter().map(|byte| byte % 190).collect())
            .collect();
        let even: Vec<u8> = (0..20_000u64)
            .flat_map(|n| {
                words[(n.wrapping_mul(0xd1b5_4a32_d192_ed03) >> 20) as usize % 3000].clone()
            })
            .collect();
        let bits = spread(&even).unwrap();
        assert!(bits > EVEN && bits < NOISE, "{bits}");
        let mut packer = Packer::new(6);
        let quick = packer.pack(&even, true);
        assert!(packer.chunk(&even).len() - quick < 9);
        let text = b"INSERT INTO events (id, state) VALUES (42, 'started');\n".repeat(2000);
        // Even where only a few looks would go.
        let part = &even[..20 << 10];
        let mixed = [part, &text, part, &text, part].concat();
        assert!(spread(&mixed).unwrap() > EVEN);
        for content in [&text, &mixed] {
            let (slow, quick) = (packer.pack(content, false), packer.pack(content, true));
            assert!(packer.chunk(content).len() - slow < 9 && slow < quick);
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
        let packed = Packer::new(6).whole(&text).unwrap();
        let mut zlib = flate2::Compress::new(flate2::Compression::new(6), false);
        let mut peer = Vec::with_capacity(text.len());
        zlib.compress_vec(&text, &mut peer, flate2::FlushCompress::Finish)
            .unwrap();
        assert!(
            packed.len() * 100 < peer.len() * 102,
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
