use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

const BUFFER: usize = 1 << 20;
/// What is given to the disk at a time.
const PIECE: u64 = 8 << 20;

/// Where an archive goes: forward only, or to a file whose headers can be filled in later.
pub(super) enum Sink<'w> {
    File(BufWriter<Behind>),
    Stream(BufWriter<Box<dyn Write + Send + 'w>>),
}

impl<'w> Sink<'w> {
    pub(super) fn file(file: File) -> Self {
        Sink::File(BufWriter::with_capacity(BUFFER, Behind::new(file)))
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
                file.get_ref().file.write_all_at(bytes, offset)
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

/// A file that the disk writes while more is packed: left to the sync at the end, it would begin
/// only then.
pub(super) struct Behind {
    file: File,
    at: u64,
    begun: u64,
}

impl Behind {
    fn new(file: File) -> Self {
        Behind {
            file,
            at: 0,
            begun: 0,
        }
    }
}

impl Write for Behind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.at += written as u64;
        if self.at - self.begun >= PIECE {
            write_back(&self.file, self.begun, self.at - self.begun);
            self.begun = self.at;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Linux begins to write what it is told is not needed, and keeps it in memory until that is done.
#[cfg(target_os = "linux")]
fn write_back(file: &File, at: u64, length: u64) {
    use rustix::fs::{Advice, fadvise};
    // Where it is refused, the sync does all of it.
    let _ = fadvise(
        file,
        at,
        std::num::NonZeroU64::new(length),
        Advice::DontNeed,
    );
}

#[cfg(not(target_os = "linux"))]
fn write_back(_file: &File, _at: u64, _length: u64) {}
