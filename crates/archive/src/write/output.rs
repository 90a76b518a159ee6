//! Packed entries become a ZIP: headers, data, the central directory and the manifest's lines.

use std::io;

use sha2::{Digest as _, Sha256};

use super::jobs::{Head, PackedChunk, PackedSmall};
use super::sink::Sink;
use crate::deflate::STREAM_END;
use crate::manifest::{Chunk, Manifest, NewLine, Seal};
use crate::seal::{Frames, SUFFIX};
use crate::zip::{Central, End, FLAG_DESCRIPTOR, FLAG_UTF8, Kind, LocalHeader, Method};
use crate::zip::{attributes, encode_descriptor, encode_zip64};
use crate::{Digest, Error, Result};

const MAX32: u64 = u32::MAX as u64;

pub(super) struct Output<'w> {
    sink: Sink<'w>,
    at: u64,
    central: Vec<u8>,
    entries: u64,
    pub(super) manifest: Option<Manifest>,
    open: Option<Large>,
    scratch: Vec<u8>,
}

/// A large entry on its way.
struct Large {
    head: Head,
    method: Method,
    offset: u64,
    wide: bool,
    descriptor: bool,
    size: u64,
    stored: u64,
    chunks: Vec<Chunk>,
    crc: crc32fast::Hasher,
    /// Of the frames, where it is sealed.
    sealed: Option<Sha256>,
}

/// What a finished entry's records say.
struct Written<'a> {
    head: &'a Head,
    name: &'a str,
    method: Method,
    flags: u16,
    offset: u64,
    size: u64,
    stored: u64,
    crc: u32,
    local_wide: bool,
}

impl<'w> Output<'w> {
    pub(super) fn new(sink: Sink<'w>, manifest: Manifest) -> Self {
        Output {
            sink,
            at: 0,
            central: Vec::new(),
            entries: 0,
            manifest: Some(manifest),
            open: None,
            scratch: Vec::new(),
        }
    }

    pub(super) fn can_patch(&self) -> bool {
        self.sink.can_patch()
    }

    pub(super) fn directory(&mut self, head: &Head) -> Result<()> {
        self.header(head, &head.name, Method::Store, 0, (0, 0, 0), None)?;
        self.record(&Written {
            head,
            name: &head.name,
            method: Method::Store,
            flags: flags(&head.name),
            offset: self.at - self.scratch.len() as u64,
            size: 0,
            stored: 0,
            crc: 0,
            local_wide: false,
        });
        self.list(head, &head.name, 0, 0, None, None, &[]);
        Ok(())
    }

    pub(super) fn small(&mut self, small: PackedSmall) -> Result<()> {
        let head = &small.head;
        let name = stored_name(head);
        let (stored, size) = (small.bytes.len() as u64, small.size);
        let offset = self.at;
        let numbers = (small.crc, stored as u32, size as u32);
        self.header(head, &name, small.method, 0, numbers, None)?;
        self.put(&small.bytes)?;
        self.record(&Written {
            head,
            name: &name,
            method: small.method,
            flags: flags(&name),
            offset,
            size,
            stored,
            crc: small.crc,
            local_wide: false,
        });
        let seal = seal_of(head, small.plain);
        self.list(head, &name, size, stored, Some(small.sha256), seal, &[]);
        Ok(())
    }

    /// Starts a large entry of `size` bytes, if that is known.
    pub(super) fn begin(&mut self, head: Head, method: Method, size: Option<u64>) -> Result<()> {
        let descriptor = !self.sink.can_patch();
        // Sealing and storing add a little; far from the border they do not matter.
        let wide = size.is_none_or(|size| size >= MAX32 - (MAX32 >> 6));
        let offset = self.at;
        let flag = if descriptor { FLAG_DESCRIPTOR } else { 0 };
        let zip64 = wide.then(|| encode_zip64(&[0, 0]));
        let narrow = if wide { u32::MAX } else { 0 };
        let name = stored_name(&head);
        self.header(&head, &name, method, flag, (0, narrow, narrow), zip64.as_deref())?;
        self.open = Some(Large {
            sealed: head.seal.is_some().then(Sha256::new),
            head,
            method,
            offset,
            wide,
            descriptor,
            size: 0,
            stored: 0,
            chunks: Vec::new(),
            crc: crc32fast::Hasher::new(),
        });
        Ok(())
    }

    pub(super) fn chunk(&mut self, chunk: PackedChunk) -> Result<()> {
        self.put(&chunk.bytes)?;
        let large = self.open.as_mut().expect("begun");
        let stored = chunk.bytes.len() as u64;
        let covered = match &mut large.sealed {
            Some(hasher) => {
                hasher.update(&chunk.bytes);
                stored
            }
            None => chunk.plain,
        };
        large.crc.combine(&crc32fast::Hasher::new_with_initial_len(chunk.crc, covered));
        large.chunks.push(Chunk(stored as u32, chunk.sha256));
        large.stored += stored;
        large.size += chunk.plain;
        Ok(())
    }

    /// Ends the large entry; `sha256` is its plaintext's.
    pub(super) fn end(&mut self, sha256: Digest) -> Result<()> {
        let mut large = self.open.take().expect("begun");
        let plain = large.size;
        let mut listed = sha256;
        if let Some(mut hasher) = large.sealed.take() {
            let sealing = large.head.seal.as_ref().expect("sealed");
            let chunks = large.chunks.len() as u64;
            let last = Frames::last(&sealing.key, chunks, sha256, plain);
            self.put(&last)?;
            hasher.update(&last);
            large.crc.update(&last);
            large.stored += last.len() as u64;
            large.size = large.stored;
            listed = Digest::finish(hasher);
        } else if large.method == Method::Deflate {
            self.put(&STREAM_END)?;
            large.stored += STREAM_END.len() as u64;
        }
        let crc = large.crc.clone().finalize();
        let name = stored_name(&large.head);
        if !large.wide && (large.size >= MAX32 || large.stored >= MAX32) {
            let why = format!("{name}: larger than was promised; say its size or none");
            return Err(Error::Unsupported(why));
        }
        self.settle_sizes(&large, crc)?;
        let written = Written {
            head: &large.head,
            name: &name,
            method: large.method,
            flags: flags(&name) | if large.descriptor { FLAG_DESCRIPTOR } else { 0 },
            offset: large.offset,
            size: large.size,
            stored: large.stored,
            crc,
            local_wide: large.wide,
        };
        self.record(&written);
        let seal = seal_of(&large.head, plain);
        let (size, stored) = (large.size, large.stored);
        self.list(&large.head, &name, size, stored, Some(listed), seal, &large.chunks);
        Ok(())
    }

    /// Says the sizes of a large entry: after it, or in its header where that can be reached.
    fn settle_sizes(&mut self, large: &Large, crc: u32) -> Result<()> {
        if large.descriptor {
            let mut bytes = Vec::new();
            encode_descriptor(&mut bytes, large.wide, crc, large.stored, large.size);
            return self.put(&bytes);
        }
        // CRC and sizes begin 14 bytes into the header; the ZIP64 field ends it.
        let mut fields = crc.to_le_bytes().to_vec();
        if !large.wide {
            fields.extend((large.stored as u32).to_le_bytes());
            fields.extend((large.size as u32).to_le_bytes());
        }
        self.sink.patch(&fields, large.offset + 14).map_err(failed)?;
        if large.wide {
            let zip64 = encode_zip64(&[large.size, large.stored]);
            let name = stored_name(&large.head).len();
            let at = large.offset + (crate::zip::LOCAL + name) as u64;
            self.sink.patch(&zip64, at).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the central directory and the end; gives the archive's size.
    pub(super) fn finish(mut self) -> Result<u64> {
        let end =
            End { entries: self.entries, offset: self.at, size: self.central.len() as u64 };
        let mut bytes = std::mem::take(&mut self.central);
        end.encode(&mut bytes);
        self.put(&bytes)?;
        self.sink.flush().map_err(failed)?;
        Ok(self.at)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(failed)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Writes a local header, which stays in `scratch`.
    fn header(
        &mut self,
        head: &Head,
        name: &str,
        method: Method,
        flag: u16,
        (crc, stored, size): (u32, u32, u32),
        zip64: Option<&[u8]>,
    ) -> Result<()> {
        self.scratch.clear();
        LocalHeader {
            version: if zip64.is_some() { 45 } else { version(method) },
            flags: flags(name) | flag,
            method: method.id(),
            modified: head.modified,
            crc,
            stored,
            size,
            name: name.as_bytes(),
            extra: zip64.unwrap_or_default(),
        }
        .encode(&mut self.scratch);
        let header = std::mem::take(&mut self.scratch);
        self.put(&header)?;
        self.scratch = header;
        Ok(())
    }

    fn record(&mut self, written: &Written<'_>) {
        let wide: Vec<u64> = [written.size, written.stored, written.offset]
            .into_iter()
            .filter(|value| *value >= MAX32)
            .collect();
        let extra = if wide.is_empty() { Vec::new() } else { encode_zip64(&wide) };
        let kind = if written.name.ends_with('/') { Kind::Directory } else { Kind::File };
        let is_wide = written.local_wide || !wide.is_empty();
        Central {
            made_by: 0,
            version: if is_wide { 45 } else { version(written.method) },
            flags: written.flags,
            method: written.method.id(),
            modified: written.head.modified,
            crc: written.crc,
            stored: written.stored.min(MAX32) as u32,
            size: written.size.min(MAX32) as u32,
            disk: 0,
            attributes: attributes(written.head.mode, kind),
            offset: written.offset.min(MAX32) as u32,
            name: written.name.as_bytes(),
            extra: &extra,
        }
        .encode(&mut self.central);
        self.entries += 1;
    }

    #[allow(clippy::too_many_arguments)]
    fn list(
        &mut self,
        head: &Head,
        path: &str,
        size: u64,
        stored: u64,
        sha256: Option<Digest>,
        seal: Option<Seal>,
        chunks: &[Chunk],
    ) {
        if let Some(manifest) = &mut self.manifest {
            manifest.add(NewLine {
                path,
                size,
                stored,
                sha256,
                mode: head.mode,
                class: head.class,
                component: head.component.as_deref(),
                seal,
                chunks,
            });
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("writing the archive")(error)
}

fn stored_name(head: &Head) -> std::borrow::Cow<'_, str> {
    match head.seal {
        Some(_) => format!("{}{SUFFIX}", head.name).into(),
        None => (&*head.name).into(),
    }
}

fn seal_of(head: &Head, plain: u64) -> Option<Seal> {
    head.seal.as_ref().map(|sealing| Seal { salt: sealing.salt.clone(), size: plain })
}

fn flags(name: &str) -> u16 {
    if name.is_ascii() { 0 } else { FLAG_UTF8 }
}

fn version(method: Method) -> u16 {
    if method == Method::Zstd { 63 } else { 20 }
}
