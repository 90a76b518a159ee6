//! Writing past the page cache: `O_DIRECT` of open(2).
//!
//! A copy counts only once it is on the disk. By way of the cache that takes the time of the
//! memory, then that of the disk; past it the disk's alone, which is quickest when it is asked
//! for several things at a time.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstatfs, open};
use stillpoint_iaas::Extent;

/// Written at a time.
pub(crate) const PIECE: u64 = 1 << 20;

/// What places, lengths and memory are multiples of. Disks with longer blocks refuse, and are written
/// by way of the cache.
const BLOCK: u64 = 4096;

/// Shorter runs are left to the cache, which makes few long writes of many short ones.
const SHORTEST: u64 = 256 << 10;

/// The part of a run of data that can go past the cache, and is better off there.
pub(crate) fn part(extent: Extent) -> Option<Extent> {
    let start = extent.offset.next_multiple_of(BLOCK);
    let end = extent.end() / BLOCK * BLOCK;
    (end >= start + SHORTEST).then(|| Extent {
        offset: start,
        length: end - start,
    })
}

/// The same file, opened past the cache; none where that cannot be, or where the copy would take
/// the network twice that a server makes by itself.
pub(crate) fn reopen(file: &File) -> Option<File> {
    const NETWORKS: [u64; 4] = [
        0x6969,      // NFS
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x6573_5546, // FUSE
    ];
    let kind = u64::try_from(fstatfs(file).ok()?.f_type).ok()?;
    if NETWORKS.contains(&kind) {
        return None;
    }
    // Not by its name, which could be another file's by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map(File::from).ok()
}

/// Has the blocks there before they are written: those who write to one file wait for each other
/// where blocks are missing.
pub(crate) fn reserve(to: &File, part: Extent) {
    // It only spares time: what is wrong, the write says.
    let _ = fallocate(to, FallocateFlags::empty(), part.offset, part.length);
}

/// Memory that begins where a disk wants it to.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// Copies a piece of a [`part`]; false where the file system has no such way, which for some
    /// shows at the first write only.
    pub(crate) fn copy(&mut self, from: &File, to: &File, piece: Extent) -> io::Result<bool> {
        self.0.resize((PIECE + BLOCK) as usize, 0);
        let start = self.0.as_ptr().align_offset(BLOCK as usize);
        let bytes = &mut self.0[start..][..piece.length as usize];
        from.read_exact_at(bytes, piece.offset)?;
        match to.write_all_at(bytes, piece.offset) {
            Ok(()) => Ok(true),
            Err(refused)
                if matches!(
                    refused.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(false)
            }
            Err(source) => Err(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn only_whole_blocks_of_long_runs_go_past_the_cache() {
        assert_eq!(part(extent(0, SHORTEST)), Some(extent(0, SHORTEST)));
        assert_eq!(part(extent(0, SHORTEST - 1)), None);
        assert_eq!(part(extent(8192, PIECE + 5)), Some(extent(8192, PIECE)));
        assert_eq!(part(extent(1, PIECE)), Some(extent(BLOCK, PIECE - BLOCK)));
        assert_eq!(part(extent(0, 0)), None);
    }

    #[test]
    fn a_file_system_takes_what_is_written_past_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("to");
        let to = reopen(&File::create(&path).unwrap()).unwrap();
        let data: Vec<u8> = (0..2 * PIECE).map(|n| (n >> 5) as u8).collect();
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(&data).unwrap();
        let mut buffer = Buffer::default();
        reserve(&to, extent(0, 2 * PIECE));
        for piece in [extent(PIECE, PIECE), extent(0, PIECE)] {
            assert!(buffer.copy(&from, &to, piece).unwrap());
        }
        assert!(std::fs::read(&path).unwrap() == data);
    }
}
