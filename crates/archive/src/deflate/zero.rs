use std::sync::LazyLock;

use super::bits::Bits;
use crate::chunk::CHUNK;

/// The one packing of a chunk of zeros that our writer makes: a literal, 4,064 matches of 258
/// bytes and one of 63, at distance 1, then an empty block that ends on a byte.
///
/// A reader that finds exactly these bytes knows the content without unpacking it: that is a
/// proof, for they unpack to nothing else.
pub(crate) fn zero_chunk() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(build);
    &BYTES
}

fn build() -> Vec<u8> {
    const MATCHES: usize = (CHUNK - 1) / 258;
    const { assert!((CHUNK - 1) % 258 == 63) };
    let mut bits = Bits::default();
    bits.put(0b100, 3); // not the last block; codes of its own
    bits.put(286 - 257, 5); // codes for literals and lengths up to 285
    bits.put(0, 5); // one distance code
    bits.put(18 - 4, 4); // lengths of 18 code-length codes follow
    // In the order of RFC 1951 3.2.7: 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1.
    for length in [0, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 2] {
        bits.put(length, 3);
    }
    // Which makes the codes: 1 is 00, 3 is 01, 18 is 10, 2 is 110, 17 is 111 (first bit first).
    let long_run = |bits: &mut Bits, zeros: u32| {
        bits.put(0b01, 2);
        bits.put(zeros - 11, 7);
    };
    bits.put(0b011, 3); // literal 0 has 2 bits
    long_run(&mut bits, 138);
    long_run(&mut bits, 255 - 138);
    bits.put(0b10, 2); // 256, the end of the block, has 3
    long_run(&mut bits, 19);
    bits.put(0b10, 2); // 276, lengths from 59, has 3
    bits.put(0b111, 3);
    bits.put(8 - 3, 3); // a short run
    bits.put(0b00, 2); // 285, length 258, has 1
    bits.put(0b00, 2); // the distance has 1
    // Which makes the codes: 285 is 0, literal 0 is 10, 256 is 110, 276 is 111; the distance 0.
    bits.put(0b01, 2);
    for _ in 0..MATCHES {
        bits.put(0b00, 2);
    }
    bits.put(0b111, 3);
    bits.put(63 - 59, 3);
    bits.put(0, 1);
    bits.put(0b011, 3);
    bits.sync();
    bits.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::{Inflater, STREAM_END};
    use crate::direct::Buffer;

    #[test]
    fn it_unpacks_to_a_chunk_of_zeros() {
        let packed = zero_chunk();
        assert!(packed.len() < 1100, "{}", packed.len());
        let (mut chunk, mut out) = (Buffer::default(), Vec::new());
        let mut inflater = Inflater::new();
        inflater
            .chunk(&mut packed.to_vec(), CHUNK, &mut chunk)
            .unwrap();
        assert!(chunk.len() == CHUNK && crate::chunk::is_zero(&chunk));
        let twice = [packed, packed, &STREAM_END].concat();
        inflater.whole(&twice, 2 * CHUNK, &mut out).unwrap();
        assert_eq!(out.len(), 2 * CHUNK);
    }
}
