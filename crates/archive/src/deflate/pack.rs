use super::bits::Bits;
use super::block::Block;
use super::matches::{Chains, Match};
use super::stored;
use crate::chunk::is_noise;

/// Packs; kept by a worker, so that its tables are made once.
#[derive(Debug)]
pub(crate) struct Packer {
    chains: Chains,
    block: Block,
    effort: Effort,
    before: usize,
}

/// How hard to look for matches.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Candidates to look at.
    depth: u32,
    /// A match this long is good enough.
    nice: u32,
    /// Whether to look one byte further before a match is taken.
    lazy: bool,
}

impl Effort {
    fn of(level: u32) -> Self {
        let (depth, nice, lazy) = match level {
            0 | 1 => (2, 24, false),
            2 => (5, 24, false),
            3 => (10, 32, false),
            4 => (8, 24, true),
            5 => (12, 40, true),
            6 => (20, 64, true),
            7 => (48, 128, true),
            8 => (128, 258, true),
            _ => (512, 258, true),
        };
        Effort { depth, nice, lazy }
    }
}

impl Packer {
    pub(crate) fn new(level: u32) -> Self {
        let (chains, block) = (Chains::new(), Block::new());
        Packer {
            chains,
            block,
            effort: Effort::of(level),
            before: 0,
        }
    }

    /// Adds a whole stream to `out`.
    pub(crate) fn whole(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut bits = Bits::after(std::mem::take(out));
        self.run(input, true, &mut bits);
        bits.align();
        *out = bits.bytes;
    }

    /// Adds blocks to `out` that need nothing before them and end on a byte; streams are joined
    /// of these and [`STREAM_END`](super::STREAM_END).
    pub(crate) fn chunk(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if is_noise(input) {
            return stored::blocks(input, out);
        }
        let mut bits = Bits::after(std::mem::take(out));
        self.run(input, false, &mut bits);
        bits.sync();
        *out = bits.bytes;
        if out.len() - start > stored::size(input.len()) {
            out.truncate(start);
            stored::blocks(input, out);
        }
    }

    fn run(&mut self, input: &[u8], ends: bool, bits: &mut Bits) {
        self.chains.begin(self.before);
        self.before = input.len();
        let Effort { depth, nice, lazy } = self.effort;
        // The last bytes are too few to look for.
        let searched = input.len().saturating_sub(3);
        let mut at = 0;
        let mut ahead = None;
        while at < searched {
            let found = match ahead.take() {
                Some(found) => found,
                None => self.chains.find(input, at, 2, depth, nice),
            };
            if found.distance == 0 {
                self.block.literal(input[at]);
                at += 1;
            } else {
                let next = match lazy && found.length < nice && at + 1 < searched {
                    true => {
                        // The better the match, the less is worth looking for another.
                        let depth = if found.length >= 8 {
                            depth >> 2
                        } else {
                            depth >> 1
                        };
                        Some(self.chains.find(input, at + 1, found.length, depth, nice))
                    }
                    false => None,
                };
                match next {
                    Some(better) if better.distance > 0 => {
                        self.block.literal(input[at]);
                        at += 1;
                        ahead = Some(better);
                    }
                    tried => {
                        let Match { length, distance } = found;
                        let seen = at + 1 + usize::from(tried.is_some());
                        self.block.matched(length, distance);
                        at += length as usize;
                        self.chains.skip(input, seen, at);
                    }
                }
            }
            if self.block.is_full() {
                let last = ends && at == input.len();
                self.block.flush(input, at, last, bits);
                if last {
                    return;
                }
            }
        }
        for byte in &input[at..] {
            self.block.literal(*byte);
        }
        if ends || !self.block.is_empty() {
            self.block.flush(input, input.len(), ends, bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deflate::{Inflater, STREAM_END};

    fn check(parts: &[Vec<u8>], level: u32) {
        let mut packer = Packer::new(level);
        let (mut joined, mut out) = (Vec::new(), Vec::new());
        for part in parts {
            let start = joined.len();
            packer.chunk(part, &mut joined);
            Inflater::new()
                .chunk(&joined[start..], part.len(), &mut out)
                .unwrap();
            assert!(out == *part);
        }
        joined.extend(STREAM_END);
        let whole = parts.concat();
        Inflater::new()
            .whole(&joined, whole.len(), &mut out)
            .unwrap();
        assert!(out == whole);
        let mut once = Vec::new();
        packer.whole(&whole, &mut once);
        Inflater::new().whole(&once, whole.len(), &mut out).unwrap();
        assert!(out == whole);
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
