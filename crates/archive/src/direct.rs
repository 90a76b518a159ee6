//! Writing and reading past the page cache: `O_DIRECT` of open(2).
//!
//! What fills the cache is copied once more, page by page into memory that has to be found first,
//! and for large files that is most of what the kernel has to do.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt as _;

/// What places, lengths and memory are multiples of. Disks with longer blocks refuse.
pub(crate) const BLOCK: usize = 4096;

/// Smaller files stay with the cache, from which they are likely to be read again.
pub(crate) const SMALLEST: u64 = 32 << 20;

/// The same file, opened past the cache; none where that cannot be.
#[cfg(target_os = "linux")]
pub(crate) fn reopen(file: &File) -> Option<File> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{Mode, OFlags, open};

    // Not by its name, which could be another file's by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).map(File::from).ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen(_: &File) -> Option<File> {
    None
}

/// Memory that begins where a disk wants it to; kept, since new memory costs as much as the proof
/// of what is put in it.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// Makes it so long. What is in it is of before, or zeros.
    pub(crate) fn resize(&mut self, length: usize) {
        if self.memory.len() < length + BLOCK {
            self.memory = vec![0; length + BLOCK];
            self.start = self.memory.as_ptr().align_offset(BLOCK);
        }
        self.length = length;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..][..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.length]
    }
}

/// Writes whole blocks of a [`Buffer`]; false where the file system has no such way, which for
/// some shows at the first write only.
pub(crate) fn write(file: &File, bytes: &[u8], offset: u64) -> io::Result<bool> {
    match file.write_all_at(bytes, offset) {
        Ok(()) => Ok(true),
        Err(error) if is_refused(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads `length` bytes, which a whole number of blocks or the end of the file ends; false where the
/// file system has no such way.
pub(crate) fn read(file: &File, out: &mut Buffer, length: usize, offset: u64) -> io::Result<bool> {
    out.resize(length.next_multiple_of(BLOCK));
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut out[filled..], offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_refused(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    out.resize(length);
    Ok(true)
}

/// Whether it is this way that does not work, and not the disk.
fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

#[cfg(test)]
impl Buffer {
    /// Moves its start to where no disk wants it, and shortens it by as much.
    pub(crate) fn shift(&mut self, by: usize) {
        self.start += by;
        self.length -= by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_block_however_long_it_gets() {
        let mut buffer = Buffer::default();
        assert!(buffer.is_empty());
        for length in [1, BLOCK, 3 * BLOCK + 1, 7] {
            buffer.resize(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.as_ptr().addr().is_multiple_of(BLOCK));
        }
    }
}
