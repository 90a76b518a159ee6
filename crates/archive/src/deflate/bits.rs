/// Bits as DEFLATE wants them: the first in the lowest place of a byte.
#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) bytes: Vec<u8>,
    buffer: u64,
    held: u32,
}

impl Bits {
    /// Adds up to 32 bits.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.buffer |= u64::from(value) << self.held;
        self.held += count;
        while self.held >= 8 {
            self.bytes.push(self.buffer as u8);
            self.buffer >>= 8;
            self.held -= 8;
        }
    }

    /// An empty stored block, after which a byte begins: what joins chunks.
    pub(super) fn sync(&mut self) {
        self.put(0, 3);
        self.put(0, (8 - self.held) % 8);
        self.bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
}
