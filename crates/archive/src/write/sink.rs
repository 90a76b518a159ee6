use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

const BUFFER: usize = 1 << 20;

/// Where an archive goes: forward only, or to a file whose headers can be filled in later.
pub(super) enum Sink<'w> {
    File(BufWriter<File>),
    Stream(BufWriter<Box<dyn Write + Send + 'w>>),
}

impl<'w> Sink<'w> {
    pub(super) fn file(file: File) -> Self {
        Sink::File(BufWriter::with_capacity(BUFFER, file))
    }

    pub(super) fn stream(stream: impl Write + Send + 'w) -> Self {
        Sink::Stream(BufWriter::with_capacity(BUFFER, Box::new(stream)))
    }

    pub(super) fn can_patch(&self) -> bool {
        matches!(self, Sink::File(_))
    }

    /// Overwrites what was written before; only where [`can_patch`](Self::can_patch).
    pub(super) fn patch(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Sink::File(file) => {
                file.flush()?;
                file.get_ref().write_all_at(bytes, offset)
            }
            Sink::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::File(file) => file.write_all(bytes),
            Sink::Stream(stream) => stream.write_all(bytes),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::File(file) => file.flush(),
            Sink::Stream(stream) => stream.flush(),
        }
    }
}
