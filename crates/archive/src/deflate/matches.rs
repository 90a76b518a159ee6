//! Finds what was there before: hash chains over the last 32 KiB.

/// How far back a match may be.
const WINDOW: usize = 32 << 10;
/// The longest match.
pub(super) const MAX_MATCH: usize = 258;
/// The shortest match that chains find.
const MIN_MATCH: usize = 4;
/// How far back three bytes are worth it.
const NEAR: u32 = 4096;
const HASH_BITS: u32 = 15;
const SHORT_BITS: u32 = 13;

/// A match: its length (0 for none) and distance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Match {
    pub(super) length: u32,
    pub(super) distance: u32,
}

/// Positions by hash. They count on from input to input, so that nothing is cleared between two.
#[derive(Debug)]
pub(super) struct Chains {
    heads: Box<[u32]>,
    shorts: Box<[u32]>,
    links: Box<[u32]>,
    base: u32,
}

impl Chains {
    pub(super) fn new() -> Self {
        Chains {
            heads: vec![0; 1 << HASH_BITS].into(),
            shorts: vec![0; 1 << SHORT_BITS].into(),
            links: vec![0; WINDOW].into(),
            base: 0,
        }
    }

    /// Begins another input, which finds nothing of the one before.
    pub(super) fn begin(&mut self, before: usize) {
        self.base += before as u32 + 1;
        if self.base > 1 << 31 {
            self.heads.fill(0);
            self.shorts.fill(0);
            self.base = 1;
        }
    }

    /// Takes in the position `at`, which has four bytes, and finds the longest match for it that
    /// is longer than `than`.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        input: &[u8],
        at: usize,
        than: u32,
        depth: u32,
        nice: u32,
    ) -> Match {
        let word = load32(input, at);
        let here = at as u32 + self.base;
        let slot = hash(word, HASH_BITS);
        let mut candidate = std::mem::replace(&mut self.heads[slot], here);
        self.links[at % WINDOW] = candidate;
        let short = hash(word << 8, SHORT_BITS);
        let near = std::mem::replace(&mut self.shorts[short], here);
        let mut best = Match {
            length: than,
            distance: 0,
        };
        if than < 3 && near >= self.base && here - near <= NEAR {
            let from = (near - self.base) as usize;
            if load32(input, from) << 8 == word << 8 {
                best = Match {
                    length: 3,
                    distance: here - near,
                };
            }
        }
        let most = (input.len() - at).min(MAX_MATCH) as u32;
        let nice = nice.min(most);
        let oldest = here.saturating_sub(WINDOW as u32).max(self.base);
        let mut left = depth;
        while candidate >= oldest && candidate < here && left > 0 {
            let from = (candidate - self.base) as usize;
            // The byte that would make it longer first: most candidates fail there.
            let tail = best.length as usize;
            if best.length < most
                && input[from + tail] == input[at + tail]
                && load32(input, from) == word
            {
                let length = common(input, from, at, most as usize) as u32;
                if length > best.length {
                    best = Match {
                        length,
                        distance: here - candidate,
                    };
                    if length >= nice {
                        break;
                    }
                }
            }
            candidate = self.links[from % WINDOW];
            left -= 1;
        }
        if best.distance == 0 {
            Match::default()
        } else {
            best
        }
    }

    /// Takes in positions that a match covers.
    #[inline(always)]
    pub(super) fn skip(&mut self, input: &[u8], from: usize, to: usize) {
        let last = (input.len() + 1).saturating_sub(MIN_MATCH);
        for at in from..to.min(last) {
            let word = load32(input, at);
            let here = at as u32 + self.base;
            let slot = hash(word, HASH_BITS);
            self.links[at % WINDOW] = std::mem::replace(&mut self.heads[slot], here);
            self.shorts[hash(word << 8, SHORT_BITS)] = here;
        }
    }
}

#[inline(always)]
fn load32(input: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(input[at..at + 4].try_into().expect("four bytes"))
}

#[inline(always)]
fn hash(word: u32, bits: u32) -> usize {
    (word.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

/// How many bytes two places have in common, up to `most`.
#[inline(always)]
fn common(input: &[u8], a: usize, b: usize, most: usize) -> usize {
    let (left, right) = (&input[a..a + most], &input[b..b + most]);
    let mut length = 0;
    for (x, y) in left.chunks_exact(8).zip(right.chunks_exact(8)) {
        let x = u64::from_le_bytes(x.try_into().expect("eight bytes"));
        let y = u64::from_le_bytes(y.try_into().expect("eight bytes"));
        if x != y {
            return length + ((x ^ y).trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    while length < most && left[length] == right[length] {
        length += 1;
    }
    length
}
