use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::direct::{BLOCK, Buffer, write};

/// Writes pieces of large files past the page cache, from several threads.
#[derive(Default)]
pub(super) struct Past {
    /// Set once it was refused: what is below will refuse it again.
    refused: AtomicBool,
}

impl Past {
    /// Writes a piece to `direct`, or by way of the cache to `cached`, the same file, what has to
    /// go there.
    pub(super) fn write(
        &self,
        direct: &File,
        cached: &File,
        bytes: &Buffer,
        offset: u64,
    ) -> io::Result<()> {
        if !offset.is_multiple_of(BLOCK as u64) || self.refused.load(Ordering::Relaxed) {
            return cached.write_all_at(bytes, offset);
        }
        // The file system knows whole blocks only.
        let (whole, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        if !write(direct, whole, offset)? {
            self.refused.store(true, Ordering::Relaxed);
            return cached.write_all_at(bytes, offset);
        }
        cached.write_all_at(rest, offset + whole.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.resize(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }

    #[test]
    fn whole_blocks_go_past_the_cache_and_the_rest_through_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let cached = File::create_new(&path).unwrap();
        let direct = crate::direct::reopen(&cached).expect("a disk that can");
        let content: Vec<u8> = (0..3 * BLOCK + 7).map(|n| (n / 9) as u8 | 1).collect();
        let past = Past::default();
        let (start, end) = content.split_at(2 * BLOCK);
        past.write(&direct, &cached, &buffer(end), start.len() as u64)
            .unwrap();
        past.write(&direct, &cached, &buffer(start), 0).unwrap();
        assert!(!past.refused.load(Ordering::Relaxed));
        assert!(std::fs::read(&path).unwrap() == content);
    }

    #[test]
    fn what_is_refused_goes_through_the_cache_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let cached = File::create_new(&path).unwrap();
        let direct = crate::direct::reopen(&cached).expect("a disk that can");
        let content = [7; 2 * BLOCK];
        let past = Past::default();
        past.write(&direct, &cached, &buffer(&content[..BLOCK]), 5)
            .unwrap();
        assert!(
            !past.refused.load(Ordering::Relaxed),
            "it was not even tried"
        );
        // Memory that begins at no block's start is what a disk refuses.
        let mut crooked = buffer(&content);
        crooked.shift(1);
        past.write(&direct, &cached, &crooked, 0).unwrap();
        assert!(past.refused.load(Ordering::Relaxed));
        assert!(std::fs::read(&path).unwrap()[..BLOCK + 5] == content[..BLOCK + 5]);
    }
}
