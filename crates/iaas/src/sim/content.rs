use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use stillpoint_core::Digest;

use crate::bytes::Extent;
use crate::content_digest::ContentDigester;

const BLOCK: u64 = 4096;

/// The bytes of a volume, snapshot or image: blocks that are shared between copies, and holes.
///
/// A block of zeros is always a hole, so that equal bytes have equal blocks.
#[derive(Clone, Debug)]
pub(super) struct Content {
    size: u64,
    writes: u64,
    blocks: BTreeMap<u64, Arc<Vec<u8>>>,
    /// Known since it was last asked for, and until the next write.
    digest: OnceLock<Digest>,
}

impl Content {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            writes: 0,
            blocks: BTreeMap::new(),
            digest: OnceLock::new(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How often it was written to.
    pub(super) fn writes(&self) -> u64 {
        self.writes
    }

    /// Takes over other bytes, which counts as a write; what they are too short for is zeros.
    pub(super) fn replace(&mut self, bytes: &Self) {
        self.blocks.clone_from(&bytes.blocks);
        self.size = self.size.max(bytes.size);
        self.changed();
    }

    /// The same bytes in a volume that is at least as large.
    pub(super) fn grown_to(mut self, size: u64) -> Self {
        if size > self.size {
            self.size = size;
            self.digest = OnceLock::new();
        }
        self
    }

    /// Up to `length` bytes, fewer only at the end.
    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = offset.saturating_add(length as u64).min(self.size);
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let (start, stop) = within(at, end);
            match self.blocks.get(&(at / BLOCK)) {
                Some(block) => bytes.extend_from_slice(&block[start..stop]),
                None => bytes.resize(bytes.len() + stop - start, 0),
            }
            at += (stop - start) as u64;
        }
        bytes
    }

    /// Writes what lies within the size, and says whether all of it did.
    pub(super) fn write(&mut self, offset: u64, mut bytes: &[u8]) -> bool {
        let end = match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= self.size => end,
            _ => return false,
        };
        self.changed();
        let mut at = offset;
        while at < end {
            let (start, stop) = within(at, end);
            let (now, later) = bytes.split_at(stop - start);
            let empty = || Arc::new(vec![0; BLOCK as usize]);
            let block = self.blocks.entry(at / BLOCK).or_insert_with(empty);
            Arc::make_mut(block)[start..stop].copy_from_slice(now);
            if block.iter().all(|&byte| byte == 0) {
                self.blocks.remove(&(at / BLOCK));
            }
            bytes = later;
            at += now.len() as u64;
        }
        true
    }

    /// All extents that end after `from`, neighbours joined.
    pub(super) fn extents(&self, from: u64) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        for number in self.blocks.range(from / BLOCK..).map(|(number, _)| number) {
            let offset = (number * BLOCK).max(from);
            let length = ((number + 1) * BLOCK).min(self.size) - offset;
            match extents.last_mut() {
                Some(last) if last.end() == offset => last.length += length,
                _ => extents.push(Extent { offset, length }),
            }
        }
        extents
    }

    pub(super) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut digester = ContentDigester::new(self.size);
            for (number, block) in &self.blocks {
                let offset = number * BLOCK;
                let length = usize::try_from((self.size - offset).min(BLOCK));
                digester.update(offset, &block[..length.expect("a block's")]);
            }
            digester.finish()
        })
    }

    fn changed(&mut self) {
        self.writes += 1;
        self.digest = OnceLock::new();
    }
}

/// Where a write or read up to `end` starts and stops in the block of `at`.
fn within(at: u64, end: u64) -> (usize, usize) {
    let start = at % BLOCK;
    let stop = BLOCK.min(start + (end - at));
    (start as usize, stop as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_holds_what_a_plain_vector_holds(
            size in 1u64..20_000,
            writes in prop::collection::vec((0u64..20_000, prop::collection::vec(0u8..3, 0..6000)), 0..6),
        ) {
            let mut plain = vec![0; size as usize];
            let mut content = Content::new(size);
            for (offset, bytes) in writes {
                let fits = offset + bytes.len() as u64 <= size;
                prop_assert_eq!(content.write(offset, &bytes), fits);
                if fits {
                    plain[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
                }
            }
            prop_assert_eq!(&content.read(0, plain.len() + 5), &plain);
            let mut outside = plain.clone();
            for extent in content.extents(0) {
                prop_assert!(extent.length > 0 && extent.end() <= size);
                outside[extent.offset as usize..extent.end() as usize].fill(0);
            }
            prop_assert!(outside.iter().all(|&byte| byte == 0));
            let mut digester = ContentDigester::new(size);
            digester.update(0, &plain);
            prop_assert_eq!(content.digest(), digester.finish());
        }
    }
}
