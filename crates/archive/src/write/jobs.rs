//! What workers do: read, hash, pack and seal pieces of entries.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Packing;
use crate::chunk::{CHUNK, is_zero, looks_packed, zeros_crc};
use crate::deflate::{Packer, stored, zero_chunk};
use crate::seal::{EntryKey, Frames};
use crate::zip::{Dos, Method};
use crate::{Class, Digest, Error, Result};

/// What is known of an entry before its content.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) mode: u32,
    pub(super) modified: Dos,
    pub(super) class: Class,
    pub(super) component: Option<Arc<str>>,
    pub(super) seal: Option<Sealing>,
}

/// How an entry is to be sealed.
#[derive(Clone, Debug)]
pub(super) struct Sealing {
    pub(super) key: Arc<EntryKey>,
    pub(super) salt: String,
}

/// An entry that is packed in one go.
#[derive(Debug)]
pub(super) struct Small {
    pub(super) head: Head,
    pub(super) content: SmallContent,
}

#[derive(Debug)]
pub(super) enum SmallContent {
    Bytes(Vec<u8>),
    /// To be read by the worker, with the size it must have.
    Path(PathBuf, u64),
    /// As it is, for entries that must be found without unpacking.
    Stored(Vec<u8>),
}

#[derive(Debug)]
pub(super) enum Job {
    Chunk {
        piece: Piece,
        method: Method,
        seal: Option<(Arc<EntryKey>, u64)>,
    },
    Smalls(Vec<Small>),
}

/// Part of a large entry.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// A whole chunk of zeros.
    Zeros,
}

#[derive(Debug)]
pub(super) enum Done {
    Chunk(Result<PackedChunk>),
    Smalls(Result<Vec<PackedSmall>>),
}

#[derive(Debug)]
pub(super) struct PackedSmall {
    pub(super) head: Head,
    pub(super) method: Method,
    pub(super) bytes: Vec<u8>,
    /// Of what the ZIP entry unpacks to.
    pub(super) size: u64,
    pub(super) crc: u32,
    pub(super) sha256: Digest,
    /// Bytes of the plaintext.
    pub(super) plain: u64,
}

#[derive(Debug)]
pub(super) struct PackedChunk {
    pub(super) bytes: Vec<u8>,
    /// Bytes that went in.
    pub(super) plain: u64,
    /// The frame, where it is sealed and `bytes` are not the frame itself.
    pub(super) frame: Option<Vec<u8>>,
    /// Of the plaintext; of the frame where it is sealed.
    pub(super) crc: u32,
}

/// One thread's tools.
#[derive(Debug)]
pub(super) struct Worker {
    packer: Packer,
    packing: Packing,
}

impl Worker {
    pub(super) fn new(packing: Packing) -> Self {
        let level = match packing {
            Packing::Deflate(level) => level.get(),
            #[cfg(feature = "zstd")]
            Packing::Zstd(_) => super::Level::default().get(),
        };
        Worker {
            packer: Packer::new(level),
            packing,
        }
    }

    pub(super) fn run(&mut self, job: Job) -> Done {
        match job {
            Job::Chunk {
                piece,
                method,
                seal,
            } => Done::Chunk(self.chunk(piece, method, seal)),
            Job::Smalls(smalls) => {
                Done::Smalls(smalls.into_iter().map(|small| self.small(small)).collect())
            }
        }
    }

    fn small(&mut self, small: Small) -> Result<PackedSmall> {
        let (content, keep) = match small.content {
            SmallContent::Bytes(bytes) => (bytes, false),
            SmallContent::Path(path, size) => (read(&path, size)?, false),
            SmallContent::Stored(bytes) => (bytes, true),
        };
        let head = small.head;
        let plain = content.len() as u64;
        let sha256 = Digest::of(&content);
        if let Some(sealing) = &head.seal {
            let mut frames = Vec::new();
            if !content.is_empty() {
                let packed = self.packer.chunk(&content);
                frames = Frames::chunk(&sealing.key, 0, &packed);
            }
            let chunks = u64::from(!content.is_empty());
            frames.extend(Frames::last(&sealing.key, chunks, sha256, plain));
            return Ok(PackedSmall {
                method: Method::Store,
                size: frames.len() as u64,
                crc: crc32fast::hash(&frames),
                sha256: Digest::of(&frames),
                bytes: frames,
                plain,
                head,
            });
        }
        let crc = crc32fast::hash(&content);
        let (method, bytes) = match keep || content.is_empty() || looks_packed(&content) {
            true => (Method::Store, content),
            false => self.pack(content),
        };
        Ok(PackedSmall {
            head,
            method,
            bytes,
            size: plain,
            crc,
            sha256,
            plain,
        })
    }

    /// The smaller of packed and as it is.
    fn pack(&mut self, content: Vec<u8>) -> (Method, Vec<u8>) {
        let packed = match self.packing {
            Packing::Deflate(_) => {
                (self.packer.whole(&content)).map(|bytes| (Method::Deflate, bytes))
            }
            #[cfg(feature = "zstd")]
            Packing::Zstd(level) => (zstd_of(&content, level).ok())
                .filter(|bytes| bytes.len() < content.len())
                .map(|bytes| (Method::Zstd, bytes)),
        };
        packed.unwrap_or((Method::Store, content))
    }

    fn chunk(
        &mut self,
        piece: Piece,
        method: Method,
        seal: Option<(Arc<EntryKey>, u64)>,
    ) -> Result<PackedChunk> {
        let zeros = match &piece {
            Piece::Zeros => true,
            Piece::Bytes(bytes) => bytes.len() == CHUNK && is_zero(bytes),
        };
        let content = match &piece {
            Piece::Zeros => &crate::chunk::ZEROS,
            Piece::Bytes(bytes) => &bytes[..],
        };
        let plain = content.len() as u64;
        let joined = method == Method::Deflate || seal.is_some();
        let mut packed = match zeros && joined {
            true => zero_chunk().to_vec(),
            false => Vec::new(),
        };
        if joined && packed.is_empty() {
            packed = self.packer.chunk(content);
        }
        if let Some((key, number)) = seal {
            let frame = Frames::chunk(&key, number, &packed);
            let crc = crc32fast::hash(&frame);
            if method == Method::Store {
                return Ok(PackedChunk {
                    bytes: frame,
                    plain,
                    frame: None,
                    crc,
                });
            }
            return Ok(PackedChunk {
                bytes: stored::blocks(&frame),
                plain,
                frame: Some(frame),
                crc,
            });
        }
        let crc = match zeros {
            true => zeros_crc(),
            false => crc32fast::hash(content),
        };
        let bytes = match (method, piece) {
            (Method::Store, Piece::Bytes(bytes)) => bytes,
            (Method::Store, Piece::Zeros) => vec![0; CHUNK],
            #[cfg(feature = "zstd")]
            (Method::Zstd, piece) => {
                let Packing::Zstd(level) = self.packing else {
                    unreachable!("asked for zstd")
                };
                let content = match &piece {
                    Piece::Bytes(bytes) => &bytes[..],
                    Piece::Zeros => &crate::chunk::ZEROS,
                };
                zstd_of(content, level)?
            }
            _ => packed,
        };
        Ok(PackedChunk {
            bytes,
            plain,
            frame: None,
            crc,
        })
    }
}

/// A frame that is proven to unpack to `content`.
#[cfg(feature = "zstd")]
fn zstd_of(content: &[u8], level: i32) -> Result<Vec<u8>> {
    let fail = || Error::io("packing");
    let packed = zstd::bulk::compress(content, level).map_err(fail())?;
    let unpacked = zstd::bulk::decompress(&packed, content.len()).map_err(fail())?;
    match unpacked == content {
        true => Ok(packed),
        false => Err(fail()(std::io::Error::other("zstd packed something else"))),
    }
}

fn read(path: &Path, size: u64) -> Result<Vec<u8>> {
    let fail = || Error::io(format!("reading {}", path.display()));
    let mut file = super::tree::open_no_follow(path).map_err(fail())?;
    // With room for one more, a file that has grown shows itself by the read that takes it all.
    let mut bytes = vec![0; size as usize + 1];
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(fail()(e)),
        }
        if filled as u64 >= size {
            break;
        }
    }
    bytes.truncate(filled);
    match filled as u64 == size {
        true => Ok(bytes),
        false => Err(changed(path)),
    }
}

pub(super) fn changed(path: &std::path::Path) -> Error {
    Error::Unsupported(format!(
        "{}: changed while it was read; archive a snapshot of it, or try again",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grew_or_shrank_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        assert_eq!(read(&path, 7).unwrap(), b"content");
        for size in [0, 6, 8] {
            let refused = read(&path, size).unwrap_err().to_string();
            assert!(refused.contains("changed while it was read"), "{size}");
        }
        std::fs::write(&path, "").unwrap();
        assert_eq!(read(&path, 0).unwrap(), b"");
    }
}
