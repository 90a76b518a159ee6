//! Finds the last block of a stream. Who packs whole buffers marks one as the last of all, and where
//! that is shows for certain only by following the blocks (RFC 1951 3.2). Nothing is unpacked on
//! the way.

use super::steps::Steps;

/// Bytes that have to follow the stream, of any value: it is read so many at a time.
pub(super) const PADDING: usize = 8;

/// Of what is ahead: bits of the code and of what belongs to it, and what follows.
const BITS: u8 = 0x1f;
const MATCH: u8 = 0x40;
const END: u8 = 0x80;

/// Bits that one look ahead shows at least.
const AHEAD: u32 = 57;
/// Bits of two literals that are seen at once, or of the longest length, and of the longest distance, with what they add.
const LONGEST: u32 = 15 + 5;
const LONGEST_DISTANCE: u32 = 15 + 13;

/// The symbol that ends a block.
const END_OF_BLOCK: usize = 256;

/// The order in which code lengths of code lengths are written (RFC 1951 3.2.7).
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// Where the last block of a stream is, in bits from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) header: usize,
    pub(super) end: usize,
}

/// Follows blocks; kept, so that its tables are made once.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    symbols: Steps,
    distances: Steps,
    lengths: Steps,
}

impl Blocks {
    /// The last block of the stream that `stream` begins with; none where that is no stream.
    pub(super) fn last(&mut self, stream: &[u8]) -> Option<Last> {
        let mut at = 0;
        loop {
            let header = at;
            let head = ahead(stream, at)?;
            at += 3;
            at = match (head >> 1) & 3 {
                0 => stored(stream, at)?,
                1 => {
                    self.fixed();
                    self.follow(stream, at)?
                }
                2 => {
                    at = self.dynamic(stream, at)?;
                    self.follow(stream, at)?
                }
                _ => return None,
            };
            if head & 1 == 1 {
                return Some(Last { header, end: at });
            }
        }
    }

    /// Goes from symbol to symbol, to behind the one that ends the block.
    pub(super) fn follow(&self, stream: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let mut bits = ahead(stream, at)?;
            let mut left = AHEAD;
            while left >= LONGEST {
                let step = self.symbols.at(bits);
                let length = u32::from(step & BITS);
                at += length as usize;
                bits >>= length;
                left -= length;
                if step & (MATCH | END) != 0 {
                    if step & END != 0 {
                        return Some(at);
                    }
                    if left < LONGEST_DISTANCE {
                        bits = ahead(stream, at)?;
                        left = AHEAD;
                    }
                    let length = u32::from(self.distances.at(bits));
                    if length == 0 {
                        return None;
                    }
                    at += length as usize;
                    bits >>= length;
                    left -= length;
                } else if step == 0 {
                    return None;
                }
            }
        }
    }

    fn fixed(&mut self) {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.symbols.of_lengths(&lengths, symbol);
        self.symbols.pair_up(MATCH | END);
        self.distances.of_lengths(&[5; 30], distance);
    }

    /// Reads the codes of a block; gives where its symbols begin.
    pub(super) fn dynamic(&mut self, stream: &[u8], mut at: usize) -> Option<usize> {
        let counts = ahead(stream, at)?;
        let (symbols, distances) = (
            257 + (counts & 31) as usize,
            1 + (counts >> 5 & 31) as usize,
        );
        let orders = 4 + (counts >> 10 & 15) as usize;
        at += 14;
        let mut lengths = [0; 19];
        let mut bits = ahead(stream, at)?;
        for place in &ORDER[..orders] {
            lengths[*place] = (bits & 7) as u8;
            bits >>= 3;
        }
        at += 3 * orders;
        self.lengths
            .of_lengths(&lengths, |symbol, length| (symbol as u8) << 3 | length);
        let mut all = [0u8; 32 + 288];
        let mut filled = 0;
        let mut room = Room::default();
        while filled < symbols + distances {
            let bits = ahead(stream, at)?;
            let step = self.lengths.at(bits);
            let (symbol, length) = (step >> 3, u32::from(step & 7));
            let more = bits >> length;
            let (value, times, extra) = match symbol {
                _ if length == 0 => return None,
                16 => (*all[..filled].last()?, 3 + (more & 3), 2),
                17 => (0, 3 + (more & 7), 3),
                18 => (0, 11 + (more & 127), 7),
                _ => (symbol, 1, 0),
            };
            let end = filled + times as usize;
            all.get_mut(filled..end)?.fill(value);
            room.take(value, (end.min(symbols).saturating_sub(filled)) as u32)?;
            filled = end;
            at += length as usize + extra;
        }
        // Every block has an end.
        (room.is_full() && all[END_OF_BLOCK] > 0).then_some(())?;
        self.symbols.of_lengths(&all[..symbols], symbol);
        self.symbols.pair_up(MATCH | END);
        self.distances
            .of_lengths(&all[symbols..symbols + distances], distance);
        Some(at)
    }
}

/// What codes of literals and lengths leave of all bits there can be; nothing in the end, since a
/// block has two symbols at least. Most of what is no header shows by that, and soon.
struct Room(u32);

impl Default for Room {
    fn default() -> Self {
        Room(1 << 15)
    }
}

impl Room {
    fn take(&mut self, length: u8, codes: u32) -> Option<()> {
        if length > 0 {
            self.0 = self.0.checked_sub(codes << (15 - length))?;
        }
        Some(())
    }

    fn is_full(&self) -> bool {
        self.0 == 0
    }
}

/// The bits from `at` on: 57 of them at least.
#[inline(always)]
pub(super) fn ahead(stream: &[u8], at: usize) -> Option<u64> {
    let bytes = stream.get(at / 8..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes) >> (at % 8))
}

/// Where a stored block ends.
fn stored(stream: &[u8], at: usize) -> Option<usize> {
    let at = at.next_multiple_of(8);
    let length = ahead(stream, at)? & 0xffff;
    Some(at + 32 + 8 * length as usize)
}

/// A literal, the end, or a length with the bits that it adds.
fn symbol(symbol: usize, length: u8) -> u8 {
    match symbol {
        0..=255 => length,
        END_OF_BLOCK => length | END,
        265..=284 => (length + ((symbol - 261) / 4) as u8) | MATCH,
        _ => length | MATCH,
    }
}

/// A distance with the bits that it adds.
fn distance(symbol: usize, length: u8) -> u8 {
    length + (symbol as u8 / 2).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::bits::Bits;

    /// Blocks of each kind, and where the last of them begins and ends.
    #[test]
    fn blocks_of_every_kind_are_followed() {
        let mut bits = Bits::default();
        // Fixed codes: the literal 0, a length of 11 or 12, the distance 4 or 5, the end.
        bits.put(0b010, 3);
        bits.put(u32::from(0b0011_0000u8.reverse_bits()), 8);
        bits.put(u32::from(0b000_1001u8.reverse_bits() >> 1), 7);
        bits.put(1, 1);
        bits.put(u32::from(0b00100u8.reverse_bits() >> 3), 5);
        bits.put(1, 1);
        bits.put(0, 7);
        bits.sync();
        bits.bytes.extend([0, 2, 0, 0xfd, 0xff, 7, 7]);
        let header = bits.bytes.len() * 8;
        bits.put(0b011, 3);
        bits.put(0, 7);
        let end = header + 10;
        let mut stream = bits.bytes;
        stream.resize(end.div_ceil(8), 0);
        let whole = stream.len();
        stream.extend([0xff; PADDING]);
        let mut blocks = Blocks::default();
        assert_eq!(blocks.last(&stream), Some(Last { header, end }));
        // Of what is cut there is no last block, and nothing past the end is read.
        for length in 0..whole {
            assert_eq!(blocks.last(&stream[..length]), None, "{length}");
        }
        // A block of no known kind.
        stream[header / 8] |= 0b110;
        assert_eq!(blocks.last(&stream), None);
    }
}
