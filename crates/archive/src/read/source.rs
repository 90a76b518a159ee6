use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::{Error, Result};

/// Bytes that can be read at any place, from several threads at once.
pub trait ReadAt: Send + Sync {
    /// How many bytes there are.
    ///
    /// # Errors
    /// What the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes from `offset` on; 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, offset)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let n = out.len().min(self.len() - from);
        out[..n].copy_from_slice(&self[from..from + n]);
        Ok(n)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(out, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(out, offset)
    }
}

impl dyn ReadAt + '_ {
    pub(crate) fn read_exact_at(&self, mut out: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !out.is_empty() {
            match self.read_at(out, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    out = &mut out[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A stretch of a source, read from its start on.
#[derive(Clone)]
pub(crate) struct Stretch {
    source: Arc<dyn ReadAt>,
    at: u64,
    end: u64,
}

impl Stretch {
    pub(crate) fn new(source: Arc<dyn ReadAt>, at: u64, length: u64) -> Self {
        Stretch {
            source,
            at,
            end: at + length,
        }
    }
}

impl io::Read for Stretch {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = (self.end - self.at).min(out.len() as u64) as usize;
        let n = self.source.read_at(&mut out[..room], self.at)?;
        if n == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

impl std::fmt::Debug for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stretch")
            .field("at", &self.at)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Small records of a source, fetched many at a time.
pub(crate) struct Window<'a> {
    source: &'a dyn ReadAt,
    bytes: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        Window {
            source,
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// `length` bytes at `offset`; fetches at least `ahead` where it has to fetch.
    pub(crate) fn get(&mut self, offset: u64, length: usize, ahead: usize) -> Result<&[u8]> {
        let held = offset.checked_sub(self.start).filter(|from| {
            from.checked_add(length as u64)
                .is_some_and(|to| to <= self.bytes.len() as u64)
        });
        if let Some(from) = held {
            return Ok(&self.bytes[from as usize..from as usize + length]);
        }
        self.start = offset;
        self.bytes.resize(length.max(ahead), 0);
        let mut filled = 0;
        while filled < length {
            match self
                .source
                .read_at(&mut self.bytes[filled..], offset + filled as u64)
            {
                Ok(0) => return Err(crate::Refusal::Truncated("its records").at(offset)),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("reading the archive")(e)),
            }
        }
        self.bytes.truncate(filled);
        Ok(&self.bytes[..length])
    }
}
