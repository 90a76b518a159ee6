use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::pages::Pages;
use super::trail::Trail;
use crate::Result;

const BUFFER: usize = 1 << 20;

/// Where an archive goes: forward only, or to a file whose headers can be filled in later.
pub(super) enum Sink<'w> {
    File(Box<Pages>),
    Stream(BufWriter<Box<dyn Write + Send + 'w>>),
}

impl<'w> Sink<'w> {
    pub(super) fn file(file: File) -> Result<Self> {
        Ok(Sink::File(Box::new(Pages::new(file)?)))
    }

    pub(super) fn stream(stream: impl Write + Send + 'w) -> Self {
        Sink::Stream(BufWriter::with_capacity(BUFFER, Box::new(stream)))
    }

    pub(super) fn can_patch(&self) -> bool {
        matches!(self, Sink::File(_))
    }

    /// Writes `is` over what `was` written before; only where [`can_patch`](Self::can_patch).
    pub(super) fn patch(&mut self, offset: u64, was: &[u8], is: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.patch(offset, was, is),
            Sink::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.write_all(bytes),
            Sink::Stream(stream) => stream.write_all(bytes),
        }
    }

    /// Ends it; gives what a file is known by.
    pub(super) fn finish(self) -> io::Result<Option<Trail>> {
        match self {
            Sink::File(file) => file.finish().map(Some),
            Sink::Stream(mut stream) => stream.flush().map(|()| None),
        }
    }
}
