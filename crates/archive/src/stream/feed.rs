use std::io::{self, Read};

use crate::{Error, Refusal, Result};

/// A source that only goes forward, with a look ahead.
pub(super) struct Feed<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes consumed.
    pub(super) at: u64,
    /// Of the bytes consumed.
    pub(super) crc: crc32fast::Hasher,
}

/// The longest look ahead: a header with the longest name and extra field.
const BUFFER: usize = 256 << 10;

impl<R: Read> Feed<R> {
    pub(super) fn new(source: R) -> Self {
        Feed {
            source,
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            at: 0,
            crc: crc32fast::Hasher::new(),
        }
    }

    /// The next `n` bytes; fewer only where the source ends.
    pub(super) fn peek(&mut self, n: usize) -> Result<&[u8]> {
        if self.end - self.start < n {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < n {
                match self.source.read(&mut self.buffer[self.end..]) {
                    Ok(0) => break,
                    Ok(got) => self.end += got,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(Error::io("reading the archive")(e)),
                }
            }
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + n)])
    }

    /// The next `n` bytes, which must be there.
    pub(super) fn need(&mut self, n: usize, what: &'static str) -> Result<&[u8]> {
        let at = self.at;
        match self.peek(n)? {
            bytes if bytes.len() == n => Ok(&self.buffer[self.start..self.start + n]),
            _ => Err(Refusal::Truncated(what).at(at)),
        }
    }

    /// As many bytes as are at hand; none only where the source ends.
    pub(super) fn some(&mut self) -> Result<&[u8]> {
        self.peek(1)?;
        Ok(&self.buffer[self.start..self.end])
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.crc.update(&self.buffer[self.start..self.start + n]);
        self.start += n;
        self.at += n as u64;
    }
}
