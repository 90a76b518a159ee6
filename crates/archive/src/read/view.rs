use std::fmt;

use crate::manifest::{Class, OWN, Record};
use crate::zip::{Entry, Kind, Method};
use crate::{Digest, seal};

/// One entry of an archive, and what the manifest says of it.
#[derive(Clone, Copy)]
pub struct EntryView<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) record: Option<&'a Record>,
    pub(crate) component: Option<&'a str>,
}

impl<'a> EntryView<'a> {
    /// Its name in the archive; a directory's ends in `/`, a sealed entry's in `.sealed`.
    pub fn name(&self) -> &'a str {
        &self.entry.name
    }

    /// Its name once opened: [`name`](Self::name) without `.sealed`.
    pub fn path(&self) -> &'a str {
        match self.is_sealed() {
            true => self
                .name()
                .strip_suffix(seal::SUFFIX)
                .unwrap_or(self.name()),
            false => self.name(),
        }
    }

    /// File or directory.
    pub fn kind(&self) -> Kind {
        self.entry.kind()
    }

    /// Bytes of its content; for a sealed entry of the plaintext.
    pub fn size(&self) -> u64 {
        match self.record.and_then(|r| r.seal.as_ref()) {
            Some(seal) => seal.size,
            None => self.entry.size,
        }
    }

    /// Bytes it takes in the archive.
    pub fn stored(&self) -> u64 {
        self.entry.stored
    }

    /// CRC-32 of what the ZIP entry unpacks to.
    pub fn crc32(&self) -> u32 {
        self.entry.crc
    }

    /// Permission bits.
    pub fn mode(&self) -> u32 {
        self.entry.mode
    }

    /// How it is packed.
    pub fn method(&self) -> Method {
        self.entry.method
    }

    /// SHA-256 of its content as the manifest records it; unknown without a manifest, and for
    /// sealed entries, whose plaintext no one may guess at.
    pub fn sha256(&self) -> Option<Digest> {
        let record = self.record.filter(|_| self.kind() == Kind::File)?;
        record.seal.is_none().then_some(record.sha256)
    }

    /// How its content is to be kept, as the manifest records it.
    pub fn class(&self) -> Option<Class> {
        Some(self.record?.class)
    }

    /// Which part of the snapshot it belongs to, as the manifest records it.
    pub fn component(&self) -> Option<&'a str> {
        self.component
    }

    /// Whether it is sealed.
    pub fn is_sealed(&self) -> bool {
        self.record.is_some_and(|record| record.seal.is_some())
    }

    /// Whether it is part of the archive itself and not of what was archived: everything below
    /// `META-INF/` of an archive with a manifest, and a `metadata.json` the writer made up.
    pub fn is_own(&self) -> bool {
        self.component == Some(OWN)
    }
}

impl fmt::Debug for EntryView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryView")
            .field("name", &self.name())
            .field("size", &self.size())
            .field("stored", &self.stored())
            .finish_non_exhaustive()
    }
}
