use super::jobs::{Head, Small, SmallContent};
use crate::Digest;
use crate::zip::Method;

/// What waits to be written, in archive order.
#[derive(Debug)]
pub(super) enum Pending {
    /// A large entry begins; its size, where known.
    Begin(Head, Method, Option<u64>),
    Directory(Head),
    /// A large entry ends; the SHA-256 of its plaintext.
    End(Digest),
    /// The pool's next result.
    Job,
}

/// Small entries gathered until they are worth a worker's while.
#[derive(Debug, Default)]
pub(super) struct Batch {
    smalls: Vec<Small>,
    bytes: u64,
}

impl Batch {
    /// Adds an entry; the batch, once it is full.
    pub(super) fn add(&mut self, small: Small) -> Option<Vec<Small>> {
        const BYTES: u64 = 512 << 10;
        const ENTRIES: usize = 512;
        self.bytes += match &small.content {
            SmallContent::Bytes(bytes) | SmallContent::Stored(bytes) => bytes.len() as u64,
            SmallContent::Path(_, size) => *size,
        };
        self.smalls.push(small);
        (self.bytes >= BYTES || self.smalls.len() >= ENTRIES).then(|| self.take())
    }

    pub(super) fn take(&mut self) -> Vec<Small> {
        self.bytes = 0;
        std::mem::take(&mut self.smalls)
    }
}
