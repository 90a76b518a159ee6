use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::record::{Chunk, Class, Header, Line, Profile, Seal};
use super::{CHUNKS_A_LINE, FORMAT, FORMAT_VERSION, MIN_READER};
use crate::Digest;
use crate::chunk::CHUNK;

/// The manifest as it grows, line by line.
#[derive(Debug)]
pub(crate) struct Manifest {
    text: Vec<u8>,
    entries: u64,
    bytes: u64,
}

/// What there is to say of an entry.
#[derive(Debug)]
pub(crate) struct NewLine<'a> {
    pub(crate) path: &'a str,
    pub(crate) size: u64,
    pub(crate) stored: u64,
    /// None for directories.
    pub(crate) sha256: Option<Digest>,
    pub(crate) mode: u32,
    pub(crate) class: Class,
    pub(crate) component: Option<&'a str>,
    pub(crate) seal: Option<Seal>,
    pub(crate) chunks: &'a [Chunk],
}

impl Manifest {
    pub(crate) fn new(snapshot_id: &str, profile: Profile) -> Self {
        let mut manifest = Manifest {
            text: Vec::new(),
            entries: 0,
            bytes: 0,
        };
        manifest.line(&Header {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION.into(),
            min_reader: MIN_READER.into(),
            profile,
            snapshot_id: snapshot_id.into(),
            hash: "sha256".into(),
            chunk: CHUNK as u64,
        });
        manifest
    }

    pub(crate) fn add(&mut self, new: NewLine<'_>) {
        let is_file = new.sha256.is_some();
        self.entries += 1;
        self.bytes += new.size;
        self.line(&Line {
            path: Some(Cow::Borrowed(new.path)),
            size: is_file.then_some(new.size),
            stored: is_file.then_some(new.stored),
            sha256: new.sha256,
            mode: Some(Cow::Owned(format!("{:04o}", new.mode))),
            class: is_file.then_some(new.class),
            component: new.component.map(Cow::Borrowed),
            seal: new.seal,
            ..Line::default()
        });
        for chunks in new.chunks.chunks(CHUNKS_A_LINE) {
            self.line(&Line {
                chunks: Some(chunks.to_vec()),
                ..Line::default()
            });
        }
    }

    /// The whole text and its root.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Digest) {
        let root = Digest::finish(Sha256::new_with_prefix(&self.text));
        self.line(&Line {
            end: Some(true),
            entries: Some(self.entries),
            bytes: Some(self.bytes),
            root: Some(root),
            ..Line::default()
        });
        (self.text, root)
    }

    fn line(&mut self, line: &impl serde::Serialize) {
        serde_json::to_writer(&mut self.text, line).expect("plain data into memory");
        self.text.push(b'\n');
    }
}
