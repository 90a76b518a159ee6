//! A second thread for what takes as long to read as to use.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes read at a time, and how many of these wait; one more is in use, and one is being filled.
const BLOCK: usize = 128 << 10;
const BLOCKS: usize = 4;

/// What a thread reads, while somebody else uses what it read before.
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    used: usize,
    ended: bool,
}

/// The thread's side.
pub(super) struct Reading(SyncSender<io::Result<Vec<u8>>>);

impl Ahead {
    pub(super) fn new() -> (Reading, Self) {
        let (read, blocks) = sync_channel(BLOCKS);
        let ahead = Ahead {
            blocks,
            block: Vec::new(),
            used: 0,
            ended: false,
        };
        (Reading(read), ahead)
    }
}

impl Reading {
    /// Reads to the end, to an error, or until nobody uses it any more.
    pub(super) fn all_of(self, mut source: impl Read) {
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            let read = source.by_ref().take(BLOCK as u64).read_to_end(&mut block);
            // What came before an error is looked at before it.
            if !block.is_empty() && self.0.send(Ok(block)).is_err() {
                return;
            }
            let end = match read {
                Ok(0) => Ok(Vec::new()),
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            // Who takes no more has found something else before it.
            let _ = self.0.send(end);
            return;
        }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() && !self.ended {
            // An end is an empty block: a thread that is gone without one has proven nothing.
            let gone = |_| io::Error::other("the thread that reads ahead is gone");
            self.block = self.blocks.recv().map_err(gone)??;
            self.used = 0;
            self.ended = self.block.is_empty();
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used += n;
    }
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(out)?;
        self.consume(n);
        Ok(n)
    }
}
