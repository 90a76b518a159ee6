/// Bits as DEFLATE wants them: the first in the lowest place of a byte.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    buffer: u64,
    held: u32,
}

impl Bits {
    /// Goes on after `bytes`.
    pub(super) fn after(bytes: Vec<u8>) -> Self {
        Bits {
            bytes,
            buffer: 0,
            held: 0,
        }
    }

    /// Adds up to 32 bits.
    #[inline(always)]
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.buffer |= u64::from(value) << self.held;
        self.held += count;
        if self.held >= 32 {
            self.bytes
                .extend_from_slice(&(self.buffer as u32).to_le_bytes());
            self.buffer >>= 32;
            self.held -= 32;
        }
    }

    /// Fills up the last byte with zeros.
    pub(super) fn align(&mut self) {
        while self.held > 0 {
            self.bytes.push(self.buffer as u8);
            self.buffer >>= 8;
            self.held = self.held.saturating_sub(8);
        }
        self.buffer = 0;
    }

    /// An empty stored block, after which a byte begins: what joins chunks.
    pub(super) fn sync(&mut self) {
        self.put(0, 3);
        self.align();
        self.bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
}
