//! One block: its symbols counted, its codes made, its bits written the shortest of three ways.

use super::bits::Bits;
use super::huffman::{codes, lengths};

const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;

/// Base and extra bits of length symbols from 257 on (RFC 1951 3.2.5).
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The length symbol, less 257, of each length.
const LENGTH_SYMBOLS: [u8; 259] = {
    let mut symbols = [0; 259];
    let mut symbol = 0;
    while symbol < 29 {
        let (base, extra) = LENGTHS[symbol];
        let mut length = base as usize;
        while length < base as usize + (1 << extra) && length < 259 {
            symbols[length] = symbol as u8;
            length += 1;
        }
        symbol += 1;
    }
    symbols
};

/// The symbol and extra bits of a distance.
#[inline(always)]
fn distance_symbol(distance: u32) -> (usize, u32) {
    let less = distance - 1;
    if less < 4 {
        return (less as usize, 0);
    }
    let extra = 30 - less.leading_zeros();
    ((2 * extra + ((less >> extra) & 1) + 2) as usize, extra)
}

/// A literal, or a match as length and distance.
#[derive(Clone, Copy, Debug)]
struct Token(u32);

impl Token {
    fn distance(self) -> u32 {
        self.0 >> 9
    }

    fn value(self) -> usize {
        (self.0 & 511) as usize
    }
}

/// The symbols of a block as they come.
#[derive(Debug)]
pub(super) struct Block {
    tokens: Vec<Token>,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    /// Bytes of input so far.
    bytes: usize,
}

/// Symbols after which a block ends.
const FULL: usize = 20_000;

impl Block {
    pub(super) fn new() -> Self {
        Block {
            tokens: Vec::with_capacity(FULL + 1),
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
            bytes: 0,
        }
    }

    #[inline(always)]
    pub(super) fn literal(&mut self, byte: u8) {
        self.tokens.push(Token(u32::from(byte)));
        self.literals[usize::from(byte)] += 1;
        self.bytes += 1;
    }

    #[inline(always)]
    pub(super) fn matched(&mut self, length: u32, distance: u32) {
        self.tokens.push(Token((distance << 9) | length));
        self.literals[257 + usize::from(LENGTH_SYMBOLS[length as usize])] += 1;
        self.distances[distance_symbol(distance).0] += 1;
        self.bytes += length as usize;
    }

    pub(super) fn is_full(&self) -> bool {
        self.tokens.len() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Writes the block, whose bytes end at `to` of `input`, and begins another.
    pub(super) fn flush(&mut self, input: &[u8], to: usize, last: bool, bits: &mut Bits) {
        self.literals[END] += 1;
        let mut own = Codes::of(&self.literals, &self.distances);
        own.describe();
        let fixed = Codes::fixed();
        let dynamic_bits = own.header_bits() + own.cost(&self.literals, &self.distances);
        let fixed_bits = fixed.cost(&self.literals, &self.distances);
        let stored_bits = (self.bytes + self.bytes.div_ceil(65_535).max(1) * 5) * 8;
        if self.bytes > 0 && stored_bits < dynamic_bits.min(fixed_bits) {
            store(&input[to - self.bytes..to], last, bits);
        } else {
            let (kind, codes) = if fixed_bits <= dynamic_bits {
                (1, &fixed)
            } else {
                (2, &own)
            };
            bits.put(u32::from(last) | (kind << 1), 3);
            if kind == 2 {
                codes.write_header(bits);
            }
            self.write(codes, bits);
        }
        self.tokens.clear();
        self.literals.fill(0);
        self.distances.fill(0);
        self.bytes = 0;
    }

    fn write(&self, codes: &Codes, bits: &mut Bits) {
        bits.bytes.reserve(self.bytes + 64);
        for token in &self.tokens {
            let distance = token.distance();
            if distance == 0 {
                codes.literal(token.value(), bits);
                continue;
            }
            let symbol = usize::from(LENGTH_SYMBOLS[token.value()]);
            let (base, extra) = LENGTHS[symbol];
            codes.literal(257 + symbol, bits);
            bits.put(token.value() as u32 - u32::from(base), u32::from(extra));
            let (symbol, extra) = distance_symbol(distance);
            let code = u32::from(codes.distance_codes[symbol]);
            let length = u32::from(codes.lengths[LITERALS + symbol]);
            bits.put(
                code | (((distance - 1) & ((1 << extra) - 1)) << length),
                length + extra,
            );
        }
        codes.literal(END, bits);
    }
}

fn store(input: &[u8], last: bool, bits: &mut Bits) {
    let parts = input.len().div_ceil(65_535);
    for (number, part) in input.chunks(65_535).enumerate() {
        bits.put(u32::from(last && number + 1 == parts), 3);
        bits.align();
        let length = part.len() as u16;
        bits.bytes.extend_from_slice(&length.to_le_bytes());
        bits.bytes.extend_from_slice(&(!length).to_le_bytes());
        bits.bytes.extend_from_slice(part);
    }
}

/// The codes of a block.
struct Codes {
    /// Of literals and lengths, then of distances.
    lengths: [u8; LITERALS + DISTANCES],
    literal_codes: [u16; LITERALS],
    distance_codes: [u16; DISTANCES],
    /// The lengths as they are written: symbol and extra bits.
    runs: Vec<(u8, u8)>,
    run_lengths: [u8; 19],
    run_codes: [u16; 19],
    written_literals: usize,
    written_distances: usize,
}

/// The order code-length codes are written in (RFC 1951 3.2.7).
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

impl Codes {
    fn of(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> Self {
        let mut all = [0; LITERALS + DISTANCES];
        lengths(literals, 15, &mut all[..LITERALS]);
        lengths(distances, 15, &mut all[LITERALS..]);
        Codes::with(all)
    }

    fn fixed() -> Self {
        let mut all = [8; LITERALS + DISTANCES];
        all[144..256].fill(9);
        all[256..280].fill(7);
        all[LITERALS..].fill(5);
        let mut fixed = Codes::with(all);
        // The fixed code has two symbols more, which shift none of the others.
        let mut whole = [8; 288];
        whole[..LITERALS].copy_from_slice(&all[..LITERALS]);
        let mut turned = [0; 288];
        codes(&whole, &mut turned);
        fixed.literal_codes.copy_from_slice(&turned[..LITERALS]);
        fixed
    }

    fn with(all: [u8; LITERALS + DISTANCES]) -> Self {
        let mut made = Codes {
            lengths: all,
            literal_codes: [0; LITERALS],
            distance_codes: [0; DISTANCES],
            runs: Vec::new(),
            run_lengths: [0; 19],
            run_codes: [0; 19],
            written_literals: LITERALS,
            written_distances: DISTANCES,
        };
        codes(&all[..LITERALS], &mut made.literal_codes);
        codes(&all[LITERALS..], &mut made.distance_codes);
        made
    }

    /// Bits of the symbols and their extra bits.
    fn cost(&self, literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> usize {
        let frequencies = literals.iter().chain(distances);
        let symbols: usize = frequencies
            .zip(&self.lengths)
            .map(|(n, l)| *n as usize * usize::from(*l))
            .sum();
        let extra_lengths = literals[257..]
            .iter()
            .zip(LENGTHS)
            .map(|(n, (_, extra))| *n as usize * usize::from(extra));
        let extra_distances = distances
            .iter()
            .enumerate()
            .map(|(symbol, n)| *n as usize * (symbol / 2).saturating_sub(1));
        3 + symbols + extra_lengths.sum::<usize>() + extra_distances.sum::<usize>()
    }

    /// Turns the lengths into runs, and makes the codes those are written in.
    fn describe(&mut self) {
        let used = |lengths: &[u8]| lengths.iter().rposition(|l| *l > 0).map_or(0, |at| at + 1);
        self.written_literals = used(&self.lengths[..LITERALS]).max(257);
        self.written_distances = used(&self.lengths[LITERALS..]).max(1);
        let all: Vec<u8> = self.lengths[..self.written_literals]
            .iter()
            .chain(&self.lengths[LITERALS..LITERALS + self.written_distances])
            .copied()
            .collect();
        let mut at = 0;
        while at < all.len() {
            let length = all[at];
            let run = all[at..].iter().take_while(|l| **l == length).count();
            at += match (length, run) {
                (0, 11..) => {
                    let run = run.min(138);
                    self.runs.push((18, (run - 11) as u8));
                    run
                }
                (0, 3..) => {
                    self.runs.push((17, (run - 3) as u8));
                    run
                }
                (1.., 4..) => {
                    let run = run.min(7);
                    self.runs.extend([(length, 0), (16, (run - 4) as u8)]);
                    run
                }
                _ => {
                    self.runs.push((length, 0));
                    1
                }
            };
        }
        let mut frequencies = [0; 19];
        for (symbol, _) in &self.runs {
            frequencies[usize::from(*symbol)] += 1;
        }
        lengths(&frequencies, 7, &mut self.run_lengths);
        codes(&self.run_lengths, &mut self.run_codes);
    }

    fn written_orders(&self) -> usize {
        ORDER
            .iter()
            .rposition(|s| self.run_lengths[*s] > 0)
            .map_or(4, |at| (at + 1).max(4))
    }

    fn header_bits(&self) -> usize {
        let runs: usize = self
            .runs
            .iter()
            .map(|(symbol, _)| {
                usize::from(self.run_lengths[usize::from(*symbol)]) + extra_bits(*symbol) as usize
            })
            .sum();
        5 + 5 + 4 + 3 * self.written_orders() + runs
    }

    fn write_header(&self, bits: &mut Bits) {
        bits.put(self.written_literals as u32 - 257, 5);
        bits.put(self.written_distances as u32 - 1, 5);
        let orders = self.written_orders();
        bits.put(orders as u32 - 4, 4);
        for symbol in &ORDER[..orders] {
            bits.put(u32::from(self.run_lengths[*symbol]), 3);
        }
        for (symbol, extra) in &self.runs {
            let at = usize::from(*symbol);
            bits.put(
                u32::from(self.run_codes[at]),
                u32::from(self.run_lengths[at]),
            );
            bits.put(u32::from(*extra), extra_bits(*symbol));
        }
    }

    #[inline(always)]
    fn literal(&self, symbol: usize, bits: &mut Bits) {
        bits.put(
            u32::from(self.literal_codes[symbol]),
            u32::from(self.lengths[symbol]),
        );
    }
}

fn extra_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_have_the_symbols_of_the_format() {
        let expected = [
            (1, 0, 0),
            (2, 1, 0),
            (3, 2, 0),
            (4, 3, 0),
            (5, 4, 1),
            (6, 4, 1),
            (7, 5, 1),
            (9, 6, 2),
            (13, 7, 2),
            (17, 8, 3),
            (25, 9, 3),
            (24_577, 29, 13),
            (32_768, 29, 13),
        ];
        for (distance, symbol, extra) in expected {
            assert_eq!(distance_symbol(distance), (symbol, extra), "{distance}");
        }
        assert_eq!(LENGTH_SYMBOLS[258], 28);
        assert_eq!(LENGTH_SYMBOLS[257], 27);
        assert_eq!(LENGTH_SYMBOLS[3], 0);
    }
}
