use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::bufread::DeflateDecoder;
use sha2::{Digest as _, Sha256};

use super::{Archive, Stretch};
use crate::seal::{EntryKey, OpenFrames};
use crate::zip::{Kind, Method};
use crate::{Digest, Error, Refusal, Result};

/// Streams one entry's content and proves it at its end: size, CRC-32, SHA-256, and that nothing
/// follows the compressed data.
///
/// The error inside the `io::Error` of a failed read is an [`Error`].
pub struct EntryReader {
    name: String,
    content: Content,
    expected: Expected,
    hasher: Option<Sha256>,
    crc: crc32fast::Hasher,
    read: u64,
    done: bool,
}

struct Expected {
    size: u64,
    stored: u64,
    crc: Option<u32>,
    sha256: Option<Digest>,
}

type Buffered = BufReader<Stretch>;
type Opened = OpenFrames<Box<dyn Read + Send>>;

enum Content {
    Deflate(Box<DeflateDecoder<Buffered>>),
    Sealed(Box<DeflateDecoder<BufReader<Opened>>>),
    Store(Box<dyn Read + Send>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::stream::read::Decoder<'static, Buffered>>),
}

const BUFFER: usize = 128 << 10;

impl EntryReader {
    pub(crate) fn new(archive: &Archive, index: usize) -> Result<Self> {
        let view = archive.view(index);
        let Some(key) = archive.entry_key(index)? else {
            return EntryReader::raw(archive, index);
        };
        let frames: Box<dyn Read + Send> = match view.method() {
            Method::Store => Box::new(stretch(archive, index)?),
            _ => Box::new(DeflateDecoder::new(stretch(archive, index)?)),
        };
        let frames = OpenFrames::new(frames, key, view.entry.size);
        let frames = BufReader::with_capacity(BUFFER, frames);
        let expected = Expected {
            size: view.size(),
            stored: 0,
            crc: None,
            sha256: None,
        };
        let content = Content::Sealed(Box::new(DeflateDecoder::new(frames)));
        Ok(EntryReader::with(view.name(), content, expected))
    }

    /// Reads what the ZIP entry unpacks to: ciphertext, where it is sealed.
    pub(crate) fn raw(archive: &Archive, index: usize) -> Result<Self> {
        let view = archive.view(index);
        let entry = view.entry;
        let expected = Expected {
            size: entry.size,
            stored: entry.stored,
            crc: Some(entry.crc),
            sha256: view
                .record
                .filter(|_| entry.kind() == Kind::File)
                .map(|r| r.sha256),
        };
        let content = match entry.method {
            // A directory marked as deflated, and an empty file, have nothing to unpack.
            _ if entry.size == 0 && entry.stored == 0 || entry.kind() == Kind::Directory => {
                let expected = Expected {
                    stored: 0,
                    ..expected
                };
                let nothing = Content::Store(Box::new(io::empty()));
                return Ok(EntryReader::with(view.name(), nothing, expected));
            }
            Method::Store => Content::Store(Box::new(stretch(archive, index)?)),
            Method::Deflate => {
                Content::Deflate(Box::new(DeflateDecoder::new(stretch(archive, index)?)))
            }
            #[cfg(feature = "zstd")]
            Method::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(stretch(archive, index)?);
                Content::Zstd(Box::new(decoder.map_err(Error::io("starting zstd"))?))
            }
            #[cfg(not(feature = "zstd"))]
            Method::Zstd => {
                return Err(Refusal::UnsupportedMethod(Method::Zstd.id()).of(view.name()));
            }
        };
        Ok(EntryReader::with(view.name(), content, expected))
    }

    fn with(name: &str, content: Content, expected: Expected) -> Self {
        let hasher = (expected.sha256.is_some() || expected.crc.is_none()).then(Sha256::new);
        EntryReader {
            name: name.to_owned(),
            content,
            expected,
            hasher,
            crc: crc32fast::Hasher::new(),
            read: 0,
            done: false,
        }
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        if self.read != self.expected.size {
            let (found, recorded) = (self.read, self.expected.size);
            return Err(Refusal::SizeMismatch { found, recorded });
        }
        if let Content::Deflate(decoder) = &mut self.content {
            let rest = self.expected.stored - decoder.total_in();
            if rest > 0 {
                return Err(Refusal::TrailingData(rest));
            }
        }
        let found = std::mem::take(&mut self.crc).finalize();
        match self.expected.crc {
            Some(recorded) if recorded != found => {
                return Err(Refusal::CrcMismatch { found, recorded });
            }
            _ => {}
        }
        let digest = self.hasher.take().map(Digest::finish);
        if let Content::Sealed(decoder) = &mut self.content {
            let frames = decoder.get_mut();
            // What is left after the DEFLATE stream must be nothing.
            let mut rest = [0];
            if frames.read(&mut rest).map_err(|_| Refusal::Seal)? != 0 {
                return Err(Refusal::Seal);
            }
            let proof = digest.map(|digest| (digest, self.read));
            return if frames.get_ref().proof() == proof {
                Ok(())
            } else {
                Err(Refusal::Seal)
            };
        }
        match self.expected.sha256 {
            Some(expected) if digest != Some(expected) => Err(Refusal::HashMismatch),
            _ => Ok(()),
        }
    }

    fn fail(&self, error: io::Error) -> io::Error {
        match Error::from_io(error) {
            Ok(Error::Refused {
                entry: None,
                offset,
                reason,
            }) => Error::Refused {
                entry: Some(self.name.clone()),
                offset,
                reason,
            }
            .into_io(),
            Ok(error) => error.into_io(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Refusal::Truncated("its data").of(&*self.name).into_io()
            }
            // What flate2 and zstd say of data they cannot read.
            Err(error) if error.raw_os_error().is_none() => Refusal::DamagedData(error.to_string())
                .of(&*self.name)
                .into_io(),
            Err(error) => error,
        }
    }
}

impl Read for EntryReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done || out.is_empty() {
            return Ok(0);
        }
        let n = match &mut self.content {
            Content::Deflate(content) => content.read(out),
            Content::Sealed(content) => content.read(out),
            Content::Store(content) => content.read(out),
            #[cfg(feature = "zstd")]
            Content::Zstd(content) => content.read(out),
        };
        let n = n.map_err(|error| self.fail(error))?;
        if n == 0 {
            self.finish()
                .map_err(|reason| reason.of(&*self.name).into_io())?;
            self.done = true;
            return Ok(0);
        }
        self.read += n as u64;
        if self.read > self.expected.size {
            let (found, recorded) = (self.read, self.expected.size);
            let reason = Refusal::SizeMismatch { found, recorded };
            return Err(reason.of(&*self.name).into_io());
        }
        self.crc.update(&out[..n]);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&out[..n]);
        }
        Ok(n)
    }
}

impl fmt::Debug for EntryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryReader")
            .field("name", &self.name)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

/// The bytes of an entry as they are stored.
fn stretch(archive: &Archive, index: usize) -> Result<Buffered> {
    let source = std::sync::Arc::clone(&archive.0.source);
    let stored = archive.0.directory.entries[index].stored;
    let stretch = Stretch::new(source, archive.data_offset(index)?, stored);
    Ok(BufReader::with_capacity(BUFFER, stretch))
}

impl Archive {
    /// The key of an entry; `None` if it is not sealed.
    pub(crate) fn entry_key(&self, index: usize) -> Result<Option<EntryKey>> {
        let view = self.view(index);
        let Some(seal) = view.record.and_then(|record| record.seal.as_ref()) else {
            return Ok(None);
        };
        self.need_key()?;
        let key = self.0.key.as_ref().expect("just asked for");
        key.entry(view.path(), &seal.salt).map(Some)
    }
}
