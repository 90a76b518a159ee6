use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const BLOCK: u64 = 4096;

/// A file that is only read, with what is written kept in memory above it: so that a state that
/// a crash left unfinished can be repaired for reading without changing it.
#[derive(Debug)]
pub(super) struct Overlay {
    below: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file below from here on do not show.
    below_ends: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn new(below: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = below.len()?;
        Ok(Self {
            below,
            written: Mutex::new(Written {
                len,
                below_ends: len,
                blocks: BTreeMap::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block(&self, written: &Written, index: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = written.blocks.get(&index) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let start = index * BLOCK;
        let there = written.below_ends.saturating_sub(start).min(BLOCK) as usize;
        if there > 0 {
            self.below.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.lock();
        check_range(&written, offset, out.len())?;
        let mut done = 0;
        while done < out.len() {
            let (index, within, length) = piece(offset + done as u64, out.len() - done);
            let block = self.block(&written, index)?;
            out[done..done + length].copy_from_slice(&block[within..within + length]);
            done += length;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.lock();
        // What is cut off must be zero if the file grows again.
        if len < written.len {
            let (index, within, _) = piece(len, 1);
            if written.blocks.contains_key(&index) {
                let mut block = self.block(&written, index)?;
                block[within..].fill(0);
                written.blocks.insert(index, block);
            }
            written.blocks.split_off(&len.div_ceil(BLOCK));
        }
        written.below_ends = written.below_ends.min(len);
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.lock();
        check_range(&written, offset, data.len())?;
        let mut done = 0;
        while done < data.len() {
            let (index, within, length) = piece(offset + done as u64, data.len() - done);
            let mut block = self.block(&written, index)?;
            block[within..within + length].copy_from_slice(&data[done..done + length]);
            written.blocks.insert(index, block);
            done += length;
        }
        Ok(())
    }
}

/// The block at `offset`, where in it that is, and how many of `left` bytes are in it.
fn piece(offset: u64, left: usize) -> (u64, usize, usize) {
    let within = (offset % BLOCK) as usize;
    (offset / BLOCK, within, left.min(BLOCK as usize - within))
}

fn check_range(written: &Written, offset: u64, length: usize) -> io::Result<()> {
    if offset.saturating_add(length as u64) > written.len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
