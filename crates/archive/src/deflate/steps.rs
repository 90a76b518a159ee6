//! Codes by the bits ahead (RFC 1951 3.2.2): not what they stand for, only what is to be known of them.

/// What each pattern of the next bits begins with; zero where that is no code.
#[derive(Debug, Default)]
pub(super) struct Steps {
    table: Vec<u8>,
    mask: u64,
}

impl Steps {
    /// For codes of these lengths, of which `value` says what is to be known: never zero.
    pub(super) fn of_lengths(&mut self, lengths: &[u8], value: impl Fn(usize, u8) -> u8) {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        self.table.clear();
        self.table.resize(1 << longest, 0);
        self.mask = (1 << longest) - 1;
        let mut counts = [0u32; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts[usize::from(*length)] += 1;
        }
        let mut next = [0u32; 16];
        for length in 1..16 {
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
        }
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, n)| **n > 0) {
            let code = &mut next[usize::from(*length)];
            // The first bit of a code is the lowest of those ahead.
            let first = (code.reverse_bits() >> (32 - length)) as usize;
            *code += 1;
            let value = value(symbol, *length);
            for place in self.table[first..].iter_mut().step_by(1 << length) {
                *place = value;
            }
        }
    }

    /// Lets what has none of these flags, and is then its own length, reach over what comes behind
    /// it, where the bits ahead show that: for values that add up.
    pub(super) fn pair_up(&mut self, flags: u8) {
        let bits = self.mask.count_ones();
        // What comes behind is further down in the table, and not paired yet.
        for place in (0..self.table.len()).rev() {
            let step = self.table[place];
            if step & flags == 0 && step > 0 {
                let behind = self.table[place >> step];
                let length = behind & !flags;
                if behind > 0 && u32::from(step + length) <= bits {
                    self.table[place] = step + behind;
                }
            }
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, ahead: u64) -> u8 {
        self.table[(ahead & self.mask) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1951 3.2.2.
    #[test]
    fn codes_are_those_of_the_format() {
        let mut steps = Steps::default();
        steps.of_lengths(&[3, 3, 3, 3, 3, 2, 4, 4], |symbol, length| {
            (symbol as u8 + 1) << 3 | length
        });
        for (code, symbol, length) in [
            (0b010, 0, 3),
            (0b110, 4, 3),
            (0b00, 5, 2),
            (0b1110, 6, 4),
            (0b1111, 7, 4),
        ] {
            let ahead = u64::from(u16::reverse_bits(code) >> (16 - length));
            let found = steps.at(ahead | 0xff << length);
            assert_eq!(found, (symbol + 1) << 3 | length, "{code:b}");
        }
        // The two bits of the sixth, then the three of the first: five, where only four are ahead.
        steps.of_lengths(&[3, 3, 3, 3, 3, 2, 4, 4], |_, length| length);
        steps.pair_up(0x80);
        assert_eq!((steps.at(0b0000), steps.at(0b0100)), (4, 2));
        assert_eq!((steps.at(0b0010), steps.at(0b1111)), (3, 4));
        steps.of_lengths(&[0, 1], |_, length| length);
        assert_eq!((steps.at(0), steps.at(1)), (1, 0), "one code of one bit");
    }
}
