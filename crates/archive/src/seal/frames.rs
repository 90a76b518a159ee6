//! The content of a sealed entry: frames of a length and a ciphertext, the last one the proof.

use std::io::{self, Read};

use super::EntryKey;
use crate::deflate::STREAM_END;
use crate::{Digest, Error, Refusal};

/// What authentication adds to a frame.
pub(crate) const TAG: usize = 16;
/// Bytes before a frame's ciphertext.
const LENGTH: usize = 4;
/// Plaintext of the last frame: SHA-256 and size of the entry's plaintext.
const PROOF: usize = 32 + 8;
/// Bytes of the last frame.
pub(crate) const LAST_FRAME: usize = LENGTH + PROOF + TAG;
/// Bytes of ciphertext no frame passes: a chunk that could not be packed, and room.
const MAX_FRAME: usize = 2 << 20;

/// Makes frames.
#[derive(Debug)]
pub(crate) struct Frames;

impl Frames {
    /// The frame of one packed chunk.
    pub(crate) fn chunk(key: &EntryKey, index: u64, packed: &[u8]) -> Vec<u8> {
        Self::frame(key.seal(index, false, packed))
    }

    /// The last frame, after `chunks` others.
    pub(crate) fn last(key: &EntryKey, chunks: u64, plaintext: Digest, size: u64) -> Vec<u8> {
        let mut proof = plaintext.0.to_vec();
        proof.extend(size.to_le_bytes());
        Self::frame(key.seal(chunks, true, &proof))
    }

    fn frame(sealed: Vec<u8>) -> Vec<u8> {
        let mut frame = (sealed.len() as u32).to_le_bytes().to_vec();
        frame.extend(sealed);
        frame
    }

    /// The packed chunk in one whole frame.
    pub(crate) fn open_chunk(key: &EntryKey, index: u64, frame: &[u8]) -> Result<Vec<u8>, Refusal> {
        let (length, sealed) = frame.split_first_chunk::<LENGTH>().ok_or(Refusal::Seal)?;
        if u32::from_le_bytes(*length) as usize != sealed.len() {
            return Err(Refusal::Seal);
        }
        key.open(index, false, sealed)
    }
}

impl Frames {
    /// Holds the last frame against what the chunks before it unpacked to.
    pub(crate) fn check_last(
        key: &EntryKey,
        chunks: u64,
        frame: &[u8],
        plaintext: Digest,
        size: u64,
    ) -> Result<(), Refusal> {
        let sealed = frame.get(LENGTH..).ok_or(Refusal::Seal)?;
        let length = (sealed.len() as u32).to_le_bytes();
        let proof = key.open(chunks, true, sealed)?;
        let same = frame[..LENGTH] == length
            && proof[..32] == plaintext.0
            && proof[32..] == size.to_le_bytes();
        if same { Ok(()) } else { Err(Refusal::Seal) }
    }
}

/// Reads frames as the DEFLATE stream they hold.
#[derive(Debug)]
pub(crate) struct OpenFrames<R> {
    source: R,
    key: EntryKey,
    left: u64,
    index: u64,
    open: Vec<u8>,
    at: usize,
    proof: Option<(Digest, u64)>,
}

impl<R: Read> OpenFrames<R> {
    /// `stored` bytes of frames follow in `source`.
    pub(crate) fn new(source: R, key: EntryKey, stored: u64) -> Self {
        OpenFrames {
            source,
            key,
            left: stored,
            index: 0,
            open: Vec::new(),
            at: 0,
            proof: None,
        }
    }

    /// SHA-256 and size of the plaintext, once all was read.
    pub(crate) fn proof(&self) -> Option<(Digest, u64)> {
        self.proof
    }

    fn next_frame(&mut self) -> io::Result<()> {
        let seal = || Error::into_io(Refusal::Seal.bare());
        let mut length = [0; LENGTH];
        if self.left < LAST_FRAME as u64 {
            return Err(seal());
        }
        self.source.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        self.left -= LENGTH as u64;
        if length > MAX_FRAME || length as u64 > self.left || length < TAG {
            return Err(seal());
        }
        self.left -= length as u64;
        let mut sealed = vec![0; length];
        self.source.read_exact(&mut sealed)?;
        let last = self.left == 0;
        self.open = self
            .key
            .open(self.index, last, &sealed)
            .map_err(|_| seal())?;
        self.index += 1;
        self.at = 0;
        if last {
            let (digest, size) = self.open.split_first_chunk::<32>().ok_or_else(seal)?;
            let size = size.try_into().map_err(|_| seal())?;
            self.proof = Some((Digest(*digest), u64::from_le_bytes(size)));
            self.open = STREAM_END.to_vec();
        }
        Ok(())
    }
}

impl<R: Read> Read for OpenFrames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.open.len() {
            if self.proof.is_some() {
                return Ok(0);
            }
            self.next_frame()?;
        }
        let n = out.len().min(self.open.len() - self.at);
        out[..n].copy_from_slice(&self.open[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
