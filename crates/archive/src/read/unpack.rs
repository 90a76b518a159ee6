use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Archive, Place};
use crate::chunk::CHUNK;
use crate::deflate::{Inflater, stored, zero_chunk};
use crate::direct::Buffer;
use crate::seal::{EntryKey, Frames};
use crate::zip::Method;
use crate::{Error, Refusal, Result};

/// Unpacks pieces of entries; kept by a worker.
#[derive(Debug)]
pub(crate) struct Unpacker {
    inflater: Inflater,
    packed: Vec<u8>,
    out: Vec<u8>,
    spares: Spares,
}

/// Buffers of chunks that were used up. Memory of the system costs about as much as the proof of what
/// is in it, so it is used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spares(Arc<Mutex<Vec<Buffer>>>);

impl Spares {
    /// Of some length, with something in it.
    fn take(&self) -> Buffer {
        self.lock().pop().unwrap_or_default()
    }

    /// Gives back what a piece was in.
    pub(crate) fn give(&self, used: Unpacked) {
        if let Unpacked::Bytes(bytes) = used {
            self.lock().push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Buffer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a piece held.
#[derive(Debug)]
pub(crate) enum Unpacked {
    Bytes(Buffer),
    /// A chunk that is proven to be all zeros.
    Zeros,
}

impl Unpacked {
    pub(crate) fn crc(&self) -> u32 {
        match self {
            Unpacked::Bytes(bytes) => crc32fast::hash(bytes),
            Unpacked::Zeros => crate::chunk::zeros_crc(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Unpacked::Bytes(bytes) => bytes,
            Unpacked::Zeros => &crate::chunk::ZEROS,
        }
    }
}

impl Unpacker {
    pub(crate) fn new() -> Self {
        Unpacker::with(Spares::default())
    }

    /// One that takes its buffers from there; who is done with them gives them back.
    pub(crate) fn with(spares: Spares) -> Self {
        Unpacker {
            inflater: Inflater::new(),
            packed: Vec::new(),
            out: Vec::new(),
            spares,
        }
    }

    /// Bytes as they are stored.
    pub(crate) fn stored(&mut self, archive: &Archive, offset: u64, length: u64) -> Result<&[u8]> {
        self.packed.resize(length as usize, 0);
        archive
            .0
            .source
            .read_exact_at(&mut self.packed, offset)
            .map_err(Error::io("reading the archive"))?;
        Ok(&self.packed)
    }

    /// Unpacks a whole entry that is in memory.
    pub(crate) fn unpack<'a>(
        &'a mut self,
        packed: &'a [u8],
        method: Method,
        size: usize,
    ) -> Result<&'a [u8], Refusal> {
        match method {
            Method::Store => return Ok(packed),
            // A directory that is only marked as packed.
            _ if packed.is_empty() && size == 0 => return Ok(packed),
            Method::Deflate => self.inflater.whole(packed, size, &mut self.out)?,
            Method::Zstd => self.out = unzstd(packed, size)?,
        }
        Ok(&self.out)
    }

    /// Unpacks the chunk at `place`, the `number`th of its entry; its hash is not checked here.
    pub(crate) fn chunk(
        &mut self,
        archive: &Archive,
        method: Method,
        place: Place,
        seal: Option<(&EntryKey, u64)>,
    ) -> Result<Unpacked, Error> {
        if seal.is_none() && method == Method::Store {
            return self.as_it_is(archive, place).map(Unpacked::Bytes);
        }
        self.stored(archive, place.offset, place.stored)?;
        let unpacked = match (seal, method) {
            (None, Method::Zstd) => unzstd(&self.packed, place.size).map(|bytes| self.held(&bytes)),
            (None, _) => {
                let mut packed = std::mem::take(&mut self.packed);
                let unpacked = self.inflate(&mut packed, place.size);
                self.packed = packed;
                unpacked
            }
            (Some((key, number)), _) => match method {
                Method::Deflate => stored::contents(&self.packed).ok_or(Refusal::Seal),
                _ => Ok(std::mem::take(&mut self.packed)),
            }
            .and_then(|frame| Frames::open_chunk(key, number, &frame))
            .and_then(|mut packed| self.inflate(&mut packed, place.size)),
        };
        unpacked.map_err(|reason| reason.at(place.offset))
    }

    fn as_it_is(&self, archive: &Archive, place: Place) -> Result<Buffer> {
        if place.stored != place.size as u64 {
            let (found, recorded) = (place.stored, place.size as u64);
            return Err(Refusal::SizeMismatch { found, recorded }.at(place.offset));
        }
        let mut out = self.spares.take();
        out.resize(place.size);
        let read = archive.0.source.read_exact_at(&mut out, place.offset);
        read.map_err(Error::io("reading the archive"))?;
        Ok(out)
    }

    fn held(&self, bytes: &[u8]) -> Unpacked {
        let mut out = self.spares.take();
        out.resize(bytes.len());
        out.copy_from_slice(bytes);
        Unpacked::Bytes(out)
    }

    fn inflate(&mut self, packed: &mut Vec<u8>, size: usize) -> Result<Unpacked, Refusal> {
        if size == CHUNK && packed.as_slice() == zero_chunk() {
            return Ok(Unpacked::Zeros);
        }
        let mut out = self.spares.take();
        self.inflater.chunk(packed, size, &mut out)?;
        Ok(Unpacked::Bytes(out))
    }
}

#[cfg(feature = "zstd")]
fn unzstd(packed: &[u8], size: usize) -> Result<Vec<u8>, Refusal> {
    use std::io::Read as _;

    let damaged = |e: std::io::Error| Refusal::DamagedData(e.to_string());
    let mut out = Vec::with_capacity(size + 1);
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
    decoder
        .take(size as u64 + 1)
        .read_to_end(&mut out)
        .map_err(damaged)?;
    match out.len() == size {
        true => Ok(out),
        false => Err(Refusal::SizeMismatch {
            found: out.len() as u64,
            recorded: size as u64,
        }),
    }
}

#[cfg(not(feature = "zstd"))]
fn unzstd(_: &[u8], _: usize) -> Result<Vec<u8>, Refusal> {
    Err(Refusal::UnsupportedMethod(Method::Zstd.id()))
}
