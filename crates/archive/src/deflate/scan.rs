//! Finds what looks like the last block of a stream from its end: most of a stream need not be
//! followed then. Who uses what is found has to prove it.

use super::last::{Blocks, Last, ahead};

/// Positions that are looked at together.
const STRIDE: usize = 32;

/// Blocks that are followed at most: content may look like headers on purpose, and each of those
/// leads on to the end.
const TRIES: u32 = 16;

impl Blocks {
    /// The last block of `stream`, whose `length` bytes have [`PADDING`](super::last::PADDING) behind
    /// them; none where it is not one of codes of its own, or does not show soon. Other bits may look
    /// the same, if hardly ever.
    pub(super) fn scan(&mut self, stream: &[u8], length: usize) -> Option<Last> {
        let mut tries = TRIES;
        for base in (0..length).step_by(STRIDE / 8).rev() {
            let bits = ahead(stream, base * 8)?;
            // The last block, and of the second kind: the bits 1, 0 and 1.
            let mut heads = (bits & !(bits >> 1) & (bits >> 2)) as u32;
            while heads != 0 {
                let place = heads.ilog2();
                heads &= !(1 << place);
                let header = base * 8 + place as usize;
                if !looks_like_codes(stream, header + 3) {
                    continue;
                }
                let Some(symbols) = self.dynamic(stream, header + 3) else {
                    continue;
                };
                tries = tries.checked_sub(1)?;
                if let Some(end) = self.follow(stream, symbols)
                    && end.div_ceil(8) == length
                {
                    return Some(Last { header, end });
                }
            }
        }
        None
    }
}

/// Whether the counts are possible, and the lengths of the code that codes are written in leave no
/// room.
fn looks_like_codes(stream: &[u8], at: usize) -> bool {
    let (Some(counts), Some(lengths)) = (ahead(stream, at), ahead(stream, at + 14)) else {
        return false;
    };
    let orders = 4 + (counts >> 10 & 15);
    let lengths = lengths & ((1 << (3 * orders)) - 1);
    let taken = |part: u32| u32::from(TAKEN[(lengths >> (9 * part) & 511) as usize]);
    counts & 31 < 30 && counts >> 5 & 31 < 30 && (0..7).map(taken).sum::<u32>() == 128
}

/// What three lengths of three bits take of 128.
const TAKEN: [u8; 512] = {
    let mut taken = [0; 512];
    let mut lengths = 0;
    while lengths < 512 {
        let mut part = 0;
        while part < 3 {
            let length = lengths >> (3 * part) & 7;
            if length > 0 {
                taken[lengths] += 128 >> length;
            }
            part += 1;
        }
        lengths += 1;
    }
    taken
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bits::Bits;
    use super::super::last::PADDING;
    use super::*;

    fn packed(content: &[u8], level: i32) -> (Vec<u8>, usize) {
        let level = libdeflater::CompressionLvl::new(level).unwrap();
        let mut packer = libdeflater::Compressor::new(level);
        let mut stream = vec![0; packer.deflate_compress_bound(content.len()) + PADDING];
        let length = packer.deflate_compress(content, &mut stream).unwrap();
        (stream, length)
    }

    /// Of several blocks, whose ends are on all places of a byte.
    #[test]
    fn what_is_found_from_the_end_is_what_is_found_from_the_start() {
        let row = |n: u64| {
            format!(
                "{n}\t{:x}\tnode\n",
                n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
            )
        };
        let content: String = (0..40_000).map(row).collect();
        let mut ends = [0; 8];
        for cut in 0..32 {
            for level in [1, 5, 9] {
                let (stream, length) = packed(&content.as_bytes()[cut * 1009..], level);
                let found = Blocks::default().scan(&stream, length);
                assert!(found.is_some_and(|last| last.header > 0));
                assert_eq!(found, Blocks::default().last(&stream[..length + PADDING]));
                ends[found.unwrap().end % 8] += 1;
                // Where more follows, the block that was found is not at the end.
                let more = [&stream[..length], &[0; 3 + PADDING]].concat();
                assert_eq!(Blocks::default().scan(&more, length + 3), None);
            }
        }
        assert!(ends.iter().all(|times| *times > 0), "{ends:?}");
    }

    /// A header whose code has 8 bits for all literals but one, which it has 9 for, and for the end.
    fn header(bits: &mut Bits) {
        bits.put(0b101, 3);
        bits.put(0, 10); // 257 symbols, and a distance
        bits.put(7 - 4, 4);
        // Lengths of 16 17 18 0 8 7 9: 8 is 0, 9 is 10 and 16 is 11 (first bit first).
        for length in [2, 0, 0, 0, 1, 0, 2] {
            bits.put(length, 3);
        }
        bits.put(0, 1);
        for _ in 0..84 {
            bits.put(0b0011, 4); // three times the same
        }
        bits.put(0, 2);
        bits.put(0b01_01_01, 6);
    }

    /// A last block whose literals are so many headers, none of which leads to its end.
    fn feint(headers: usize) -> (Vec<u8>, usize) {
        let mut bits = Bits::default();
        header(&mut bits);
        for _ in 0..headers {
            header(&mut bits);
            bits.put(0, 1); // to where a literal begins, as seen from the first
        }
        bits.put(0x1ff, 9);
        bits.put(0, 7);
        let length = bits.bytes.len();
        bits.bytes.extend([0; PADDING]);
        (bits.bytes, length)
    }

    #[test]
    fn content_that_looks_like_headers_is_not_followed_for_ever() {
        let (stream, length) = feint(TRIES as usize - 1);
        let last = Blocks::default().last(&stream);
        assert!(last.is_some_and(|last| last.header == 0));
        assert_eq!(Blocks::default().scan(&stream, length), last);
        let (stream, length) = feint(TRIES as usize);
        assert!(Blocks::default().last(&stream).is_some());
        assert_eq!(Blocks::default().scan(&stream, length), None);
    }

    proptest! {
        #[test]
        fn what_is_no_stream_is_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let length = bytes.len();
            bytes.extend([0; PADDING]);
            let _ = Blocks::default().scan(&bytes, length);
        }
    }
}
