//! Packed entries become a ZIP: headers, data, the central directory and the manifest's lines.

use std::io;

use sha2::{Digest as _, Sha256};

use super::jobs::{Head, PackedChunk, PackedSmall};
use super::sink::Sink;
use super::trail::Trail;
use crate::deflate::{STREAM_END, stored};
use crate::manifest::{Chunk, MANIFEST, Manifest, NewLine, Seal};
use crate::seal::{Frames, SUFFIX};
use crate::zip::{Central, End, FLAG_DESCRIPTOR, FLAG_UTF8, Kind, LocalHeader, Method};
use crate::zip::{attributes, encode_coverage, encode_descriptor, encode_zip64};
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
    /// Of all bytes so far, but those that still change.
    crc: crc32fast::Hasher,
}

/// A large entry on its way.
struct Large {
    head: Head,
    method: Method,
    offset: u64,
    wide: bool,
    descriptor: bool,
    /// Bytes of plaintext so far.
    plain: u64,
    /// Bytes so far of what the ZIP entry unpacks to: frames, where it is sealed.
    content: u64,
    stored: u64,
    chunks: Vec<Chunk>,
    crc: crc32fast::Hasher,
    /// Of the frames, where it is sealed.
    sealed: Option<Sha256>,
    /// Of all before its header, where that will be written again.
    before: Option<crc32fast::Hasher>,
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
            crc: crc32fast::Hasher::new(),
        }
    }

    pub(super) fn can_patch(&self) -> bool {
        self.sink.can_patch()
    }

    pub(super) fn directory(&mut self, head: &Head) -> Result<()> {
        self.header(head, &head.name, Method::Store, 0, (0, 0, 0), false)?;
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
        let numbers = (small.crc, stored, size);
        self.header(head, &name, small.method, 0, numbers, false)?;
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
        let before = (!descriptor).then(|| self.crc.clone());
        let name = stored_name(&head);
        self.header(&head, &name, method, flag, (0, 0, 0), wide)?;
        if before.is_some() {
            self.crc = crc32fast::Hasher::new();
        }
        drop(name);
        self.open = Some(Large {
            sealed: head.seal.is_some().then(Sha256::new),
            head,
            method,
            offset,
            wide,
            descriptor,
            plain: 0,
            content: 0,
            stored: 0,
            chunks: Vec::new(),
            crc: crc32fast::Hasher::new(),
            before,
        });
        Ok(())
    }

    pub(super) fn chunk(&mut self, chunk: PackedChunk) -> Result<()> {
        self.put(&chunk.bytes)?;
        let large = self.open.as_mut().expect("begun");
        let stored = chunk.bytes.len() as u64;
        let covered = match &mut large.sealed {
            Some(hasher) => {
                let frame = chunk.frame.as_ref().unwrap_or(&chunk.bytes);
                hasher.update(frame);
                frame.len() as u64
            }
            None => chunk.plain,
        };
        large.content += covered;
        large
            .crc
            .combine(&crc32fast::Hasher::new_with_initial_len(chunk.crc, covered));
        large.chunks.push(Chunk(stored as u32, chunk.crc));
        large.stored += stored;
        large.plain += chunk.plain;
        Ok(())
    }

    /// Ends the large entry; `sha256` is its plaintext's.
    pub(super) fn end(&mut self, sha256: Digest) -> Result<()> {
        let mut large = self.open.take().expect("begun");
        let plain = large.plain;
        let mut listed = sha256;
        if let Some(mut hasher) = large.sealed.take() {
            let sealing = large.head.seal.as_ref().expect("sealed");
            let chunks = large.chunks.len() as u64;
            let last = Frames::last(&sealing.key, chunks, sha256, plain);
            let bytes = match large.method {
                Method::Store => last.clone(),
                _ => stored::blocks(&last),
            };
            self.put(&bytes)?;
            hasher.update(&last);
            large.crc.update(&last);
            large.stored += bytes.len() as u64;
            large.content += last.len() as u64;
            listed = Digest::finish(hasher);
        }
        if large.method == Method::Deflate {
            self.put(&STREAM_END)?;
            large.stored += STREAM_END.len() as u64;
        }
        let crc = large.crc.clone().finalize();
        let before = large.before.take();
        let name = stored_name(&large.head);
        if !large.wide && (large.content >= MAX32 || large.stored >= MAX32) {
            let why = format!("{name}: larger than was promised; say its size or none");
            return Err(Error::Unsupported(why));
        }
        self.settle_sizes(&large, before, crc)?;
        let written = Written {
            head: &large.head,
            name: &name,
            method: large.method,
            flags: flags(&name) | if large.descriptor { FLAG_DESCRIPTOR } else { 0 },
            offset: large.offset,
            size: large.content,
            stored: large.stored,
            crc,
            local_wide: large.wide,
        };
        self.record(&written);
        let seal = seal_of(&large.head, plain);
        let (size, stored) = (large.content, large.stored);
        self.list(
            &large.head,
            &name,
            size,
            stored,
            Some(listed),
            seal,
            &large.chunks,
        );
        Ok(())
    }

    /// Says the sizes of a large entry: after it, or in its header where that can be reached.
    fn settle_sizes(
        &mut self,
        large: &Large,
        before: Option<crc32fast::Hasher>,
        crc: u32,
    ) -> Result<()> {
        let Some(mut before) = before else {
            let mut bytes = Vec::new();
            encode_descriptor(&mut bytes, large.wide, crc, large.stored, large.content);
            return self.put(&bytes);
        };
        let name = stored_name(&large.head);
        let numbers = (crc, large.stored, large.content);
        let (method, offset) = (large.method, large.offset);
        let nothing = (0, 0, 0);
        self.encode_header(&large.head, &name, method, 0, offset, nothing, large.wide);
        let was = self.scratch.clone();
        self.encode_header(&large.head, &name, method, 0, offset, numbers, large.wide);
        let patched = self.sink.patch(large.offset, &was, &self.scratch);
        patched.map_err(failed)?;
        before.update(&self.scratch);
        before.combine(&self.crc);
        self.crc = before;
        Ok(())
    }

    /// Writes the central directory and the end; gives the archive's size, and what a file is known
    /// by.
    pub(super) fn finish(mut self) -> Result<(u64, Option<Trail>)> {
        let end = End {
            entries: self.entries,
            offset: self.at,
            size: self.central.len() as u64,
            canonical: true,
        };
        let mut bytes = std::mem::take(&mut self.central);
        end.encode(&mut bytes);
        self.put(&bytes)?;
        Ok((self.at, self.sink.finish().map_err(failed)?))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(failed)?;
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn header(
        &mut self,
        head: &Head,
        name: &str,
        method: Method,
        flag: u16,
        numbers: (u32, u64, u64),
        wide: bool,
    ) -> Result<()> {
        self.encode_header(head, name, method, flag, self.at, numbers, wide);
        let header = std::mem::take(&mut self.scratch);
        self.put(&header)?;
        self.scratch = header;
        Ok(())
    }

    /// Makes the local header of an entry at `offset` in `scratch`.
    #[allow(clippy::too_many_arguments)]
    fn encode_header(
        &mut self,
        head: &Head,
        name: &str,
        method: Method,
        flag: u16,
        offset: u64,
        (crc, stored, size): (u32, u64, u64),
        wide: bool,
    ) {
        self.scratch.clear();
        let zip64 = if wide {
            encode_zip64(&[size, stored])
        } else {
            Vec::new()
        };
        let narrow = |value: u64| if wide { u32::MAX } else { value as u32 };
        LocalHeader {
            version: version(method, wide || offset >= MAX32),
            flags: flags(name) | flag,
            method: method.id(),
            modified: head.modified,
            crc,
            stored: narrow(stored),
            size: narrow(size),
            name: name.as_bytes(),
            extra: &zip64,
        }
        .encode(&mut self.scratch);
    }

    fn record(&mut self, written: &Written<'_>) {
        let wide: Vec<u64> = [written.size, written.stored, written.offset]
            .into_iter()
            .filter(|value| *value >= MAX32)
            .collect();
        let mut extra = if wide.is_empty() {
            Vec::new()
        } else {
            encode_zip64(&wide)
        };
        if written.name == MANIFEST {
            extra.extend(encode_coverage(self.crc.clone().finalize()));
        }
        let kind = if written.name.ends_with('/') {
            Kind::Directory
        } else {
            Kind::File
        };
        let is_wide = written.local_wide || !wide.is_empty();
        Central {
            made_by: 0,
            version: version(written.method, is_wide),
            flags: written.flags,
            method: written.method.id(),
            modified: written.head.modified,
            crc: written.crc,
            stored: written.stored.min(MAX32) as u32,
            size: written.size.min(MAX32) as u32,
            disk: 0,
            internal: 0,
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
    head.seal.as_ref().map(|sealing| Seal {
        salt: sealing.salt.clone(),
        size: plain,
    })
}

fn flags(name: &str) -> u16 {
    if name.is_ascii() { 0 } else { FLAG_UTF8 }
}

/// Of both headers, where either has a ZIP64 field: that of an offset is the central one's alone.
fn version(method: Method, zip64: bool) -> u16 {
    match (method, zip64) {
        (Method::Zstd, _) => 63,
        (_, true) => 45,
        (_, false) => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::Dos;
    use crate::{Class, Profile};

    #[test]
    fn both_headers_of_an_entry_past_four_gib_need_the_same_version() {
        for (at, version) in [(MAX32 - 1, 20), (MAX32, 45)] {
            let mut bytes = Vec::new();
            let manifest = Manifest::new("1", Profile::Native);
            let mut output = Output::new(Sink::stream(&mut bytes), manifest);
            output.at = at;
            let head = Head {
                name: "a".to_owned(),
                mode: 0o644,
                modified: Dos::EPOCH,
                class: Class::Public,
                component: None,
                seal: None,
            };
            let content = b"content".to_vec();
            let small = PackedSmall {
                head,
                method: Method::Store,
                size: 7,
                crc: crc32fast::hash(&content),
                sha256: Digest::of(&content),
                bytes: content,
                plain: 7,
            };
            output.small(small).unwrap();
            output.finish().unwrap();
            let central = 30 + 1 + 7;
            assert_eq!(bytes[4..6], u16::to_le_bytes(version));
            assert_eq!(bytes[central + 6..central + 8], u16::to_le_bytes(version));
        }
    }
}
