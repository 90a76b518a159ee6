use sha2::{Digest as _, Sha256};
use stillpoint_core::{Digest, ResourceRef, Result};

use crate::bytes::VolumeBytes;

/// Bytes of a chunk: what a content digest is made of.
pub const CHUNK: usize = 64 * 1024;

/// How much is read at a time.
const READ: usize = 16 * CHUNK;

/// The content digest of a volume or snapshot, reading its extents only.
///
/// The volume is cut into chunks of [`CHUNK`] bytes, the last one padded with zeros. The digest
/// is SHA-256 over, for each chunk that has a byte other than zero, its number (8 bytes, little
/// endian) and the SHA-256 of its bytes, and last the size of the volume (8 bytes, little
/// endian). A hole and written zeros are thus the same, and holes cost nothing.
///
/// `seen` is told after every read how many bytes from the start are behind it.
///
/// # Errors
///
/// Whatever reading gives.
pub async fn content_digest(
    bytes: &dyn VolumeBytes,
    of: &ResourceRef,
    mut seen: impl FnMut(u64) + Send,
) -> Result<Digest> {
    let size = bytes.size(of).await?;
    let mut digester = ContentDigester::new(size);
    let mut at = 0;
    while at < size {
        let extents = bytes.extents(of, at).await?;
        if extents.is_empty() {
            break;
        }
        for extent in extents {
            // An extent may start inside a chunk of which the digest has a part already.
            let mut offset = extent.offset.max(at) / CHUNK as u64 * CHUNK as u64;
            offset = offset.max(at);
            let end = extent.end().next_multiple_of(CHUNK as u64).min(size);
            while offset < end {
                let length = usize::try_from(end - offset).unwrap_or(READ).min(READ);
                let data = bytes.read(of, offset, length).await?;
                if data.is_empty() {
                    break;
                }
                digester.update(offset, &data);
                offset += data.len() as u64;
                seen(offset);
            }
            at = at.max(end);
        }
    }
    seen(size);
    Ok(digester.finish())
}

/// Computes a content digest from bytes that come in order.
///
/// See [`content_digest`] for its definition.
#[derive(Debug)]
pub struct ContentDigester {
    outer: Sha256,
    chunk: Vec<u8>,
    number: u64,
    size: u64,
}

impl ContentDigester {
    /// For a volume of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self {
            outer: Sha256::new(),
            chunk: Vec::with_capacity(CHUNK),
            number: 0,
            size,
        }
    }

    /// Takes in the bytes at `offset`; what was skipped since the last call is zeros.
    ///
    /// # Panics
    ///
    /// Where `offset` lies before bytes that were taken in already.
    pub fn update(&mut self, offset: u64, mut bytes: &[u8]) {
        let mut offset = offset;
        let reached = self.number * CHUNK as u64 + self.chunk.len() as u64;
        assert!(
            offset >= reached,
            "bytes at {offset} after bytes up to {reached}"
        );
        while !bytes.is_empty() {
            let number = offset / CHUNK as u64;
            if number != self.number {
                self.close_chunk();
                self.number = number;
            }
            let start = usize::try_from(offset % CHUNK as u64).expect("below CHUNK");
            self.chunk.resize(start, 0);
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - start));
            self.chunk.extend_from_slice(now);
            offset += now.len() as u64;
            bytes = later;
        }
    }

    /// The digest of all that was taken in, and zeros up to the size.
    pub fn finish(mut self) -> Digest {
        self.close_chunk();
        self.outer.update(self.size.to_le_bytes());
        Digest::new(self.outer.finalize().into())
    }

    fn close_chunk(&mut self) {
        if self.chunk.iter().any(|&byte| byte != 0) {
            self.chunk.resize(CHUNK, 0);
            self.outer.update(self.number.to_le_bytes());
            self.outer.update(Sha256::digest(&self.chunk));
        }
        self.chunk.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest_of(size: usize, pieces: &[(usize, Vec<u8>)]) -> Digest {
        let mut digester = ContentDigester::new(size as u64);
        for (offset, bytes) in pieces {
            digester.update(*offset as u64, bytes);
        }
        digester.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn cuts_and_holes_make_no_difference(
            data in prop::collection::vec((0usize..4 * CHUNK, any::<u8>()), 0..8),
            cuts in prop::collection::btree_set(0usize..4 * CHUNK, 0..6),
        ) {
            let mut volume = vec![0; 4 * CHUNK];
            for (at, byte) in data {
                volume[at] = byte;
            }
            let whole = digest_of(volume.len(), &[(0, volume.clone())]);
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([volume.len()]) {
                let piece = &volume[from..cut];
                // A piece of zeros may be left out: it is a hole.
                if piece.iter().any(|&byte| byte != 0) {
                    pieces.push((from, piece.to_vec()));
                }
                from = cut;
            }
            prop_assert_eq!(digest_of(volume.len(), &pieces), whole);
        }
    }

    #[test]
    fn size_place_and_value_make_a_difference() {
        let one = digest_of(CHUNK, &[(5, vec![1])]);
        assert_ne!(one, digest_of(CHUNK + 1, &[(5, vec![1])]));
        assert_ne!(one, digest_of(CHUNK, &[(6, vec![1])]));
        assert_ne!(one, digest_of(CHUNK, &[(5, vec![2])]));
        assert_ne!(
            digest_of(2 * CHUNK, &[(0, vec![1])]),
            digest_of(2 * CHUNK, &[(CHUNK, vec![1])])
        );
    }
}
