use super::Method;
use super::extra::{self, Forgivable, Forgiven};
use super::wire::{Central, Dos, FLAG_DESCRIPTOR, FLAG_UTF8, MADE_BY};
use crate::manifest::MANIFEST;
use crate::{Limits, Refusal, name};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// One entry of the central directory, checked.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) offset: u64,
    pub(crate) stored: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
    pub(crate) mode: u32,
    pub(crate) method: Method,
    pub(crate) flags: u16,
    pub(crate) version: u16,
    pub(crate) modified: Dos,
    /// CRC-32 of all before the central directory; on the manifest, and only there.
    pub(crate) coverage: Option<u32>,
    /// Whether the fields nobody needs are as our writer leaves them.
    pub(crate) canonical: bool,
}

const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

impl Entry {
    pub(crate) fn kind(&self) -> Kind {
        if self.name.ends_with('/') {
            Kind::Directory
        } else {
            Kind::File
        }
    }

    pub(crate) fn has_descriptor(&self) -> bool {
        self.flags & FLAG_DESCRIPTOR != 0
    }

    /// Checks everything a central record can be checked for by itself.
    pub(crate) fn from_central(
        record: &Central<'_>,
        limits: &Limits,
        mut forgiven: Option<&mut Forgiven>,
    ) -> Result<Self, (Option<String>, Refusal)> {
        let name = std::str::from_utf8(record.name).map_err(|_| (None, Refusal::BadUtf8))?;
        let fail = |reason| (Some(name.to_owned()), reason);
        if !name.is_ascii() && record.flags & FLAG_UTF8 == 0 {
            return Err(fail(Refusal::BadUtf8));
        }
        name::check(name, limits).map_err(fail)?;
        check_flags(record.flags, forgiven.as_deref_mut()).map_err(fail)?;
        if record.disk != 0 {
            return Err(fail(Refusal::MultiDisk));
        }
        if record.version > 63 {
            return Err(fail(Refusal::UnsupportedVersion(record.version)));
        }
        let method = Method::from_id(record.method).map_err(fail)?;
        let wide = extra::central(
            record.size,
            record.stored,
            record.offset,
            record.extra,
            forgiven.as_deref_mut(),
        )
        .map_err(fail)?;
        let mut entry = Entry {
            mode: mode(record, name.ends_with('/')).map_err(fail)?,
            name: Box::from(name),
            offset: wide.offset,
            stored: wide.stored,
            size: wide.size,
            crc: record.crc,
            method,
            flags: record.flags,
            version: record.version,
            modified: record.modified,
            coverage: wide.coverage,
            canonical: false,
        };
        if entry.coverage.is_some() && name != MANIFEST {
            return Err(fail(Refusal::ManifestMismatch(
                "it is no manifest".to_owned(),
            )));
        }
        let kind = entry.kind();
        entry.canonical = (record.made_by, record.internal) == (MADE_BY, 0)
            && record.attributes == attributes(entry.mode, kind);
        entry.check_sizes(limits, forgiven).map_err(fail)?;
        Ok(entry)
    }

    fn check_sizes(
        &self,
        limits: &Limits,
        mut forgiven: Option<&mut Forgiven>,
    ) -> Result<(), Refusal> {
        if self.kind() == Kind::Directory {
            if self.size != 0 || self.crc != 0 {
                return Err(Refusal::DirectoryWithData);
            }
            match (self.method, self.stored, forgiven.as_deref_mut()) {
                (Method::Store, 0, _) => {}
                // Python 2 marked them so, with no data or with the two bytes of an empty stream.
                (Method::Deflate, 0 | 2, Some(forgiven)) => {
                    *forgiven.entry(Forgivable::DeflatedDirectory).or_default() += 1;
                }
                _ => return Err(Refusal::DirectoryWithData),
            }
        }
        if self.size > limits.entry {
            let (what, found, limit) = ("the entry's size", self.size, limits.entry);
            return Err(Refusal::Limit { what, found, limit });
        }
        if self.method == Method::Store && self.size != self.stored {
            return Err(Refusal::SizeMismatch {
                found: self.stored,
                recorded: self.size,
            });
        }
        // A stream that is not self-delimiting cannot end in a descriptor.
        if self.has_descriptor() && self.method == Method::Store {
            match forgiven {
                // Info-ZIP writes empty files so, to a pipe.
                Some(forgiven) if self.stored == 0 => {
                    *forgiven.entry(Forgivable::EmptyWithDescriptor).or_default() += 1;
                }
                _ => return Err(Refusal::EndUnmarked),
            }
        }
        Ok(())
    }

    /// Refuses what expands too much for something no manifest declares.
    pub(crate) fn check_ratio(&self, limits: &Limits) -> Result<(), Refusal> {
        let past_first = self.size.saturating_sub(1 << 20);
        if past_first > self.stored.saturating_mul(limits.ratio) {
            let (size, stored, limit) = (self.size, self.stored, limits.ratio);
            return Err(Refusal::Ratio {
                size,
                stored,
                limit,
            });
        }
        Ok(())
    }
}

/// Allowed are a descriptor and UTF-8, and what a lenient reader forgives.
pub(crate) fn check_flags(flags: u16, forgiven: Option<&mut Forgiven>) -> Result<(), Refusal> {
    const HINTS: u16 = 0b110;
    if flags & 1 != 0 {
        return Err(Refusal::Encrypted);
    }
    let mut rest = flags & !(FLAG_DESCRIPTOR | FLAG_UTF8);
    if let Some(forgiven) = forgiven
        && rest & HINTS != 0
    {
        *forgiven.entry(Forgivable::CompressionHint).or_default() += 1;
        rest &= !HINTS;
    }
    if rest != 0 {
        Err(Refusal::UnsupportedFlags(flags))
    } else {
        Ok(())
    }
}

/// The permissions, once the type is known to be a file's or directory's, as the name says.
fn mode(record: &Central<'_>, is_directory: bool) -> Result<u32, Refusal> {
    const UNIX: u16 = 3;
    let dos_directory = record.attributes & 0x10 != 0;
    if record.made_by >> 8 != UNIX {
        if dos_directory != is_directory {
            return Err(Refusal::FileType("its name and its attributes disagree"));
        }
        return Ok(if is_directory { 0o755 } else { 0o644 });
    }
    let mode = record.attributes >> 16;
    match mode & 0o170_000 {
        REGULAR if !is_directory => {}
        FOLDER if is_directory => {}
        // Some writers leave the type, or all of it, out.
        0 if dos_directory <= is_directory => {}
        REGULAR => return Err(Refusal::FileType("a file named as a directory")),
        FOLDER => return Err(Refusal::FileType("a directory named as a file")),
        0o120_000 => return Err(Refusal::FileType("a symbolic link")),
        0o020_000 | 0o060_000 => return Err(Refusal::FileType("a device")),
        0o010_000 => return Err(Refusal::FileType("a pipe")),
        0o140_000 => return Err(Refusal::FileType("a socket")),
        _ => return Err(Refusal::FileType("an unknown type")),
    }
    if mode & 0o7000 != 0 {
        return Err(Refusal::Mode(mode & 0o7777));
    }
    match (mode, is_directory) {
        (0, true) => Ok(0o755),
        (0, false) => Ok(0o644),
        _ => Ok(mode & 0o777),
    }
}

/// `mode` as the upper half of the external attributes.
pub(crate) fn attributes(mode: u32, kind: Kind) -> u32 {
    match kind {
        Kind::Directory => ((FOLDER | mode) << 16) | 0x10,
        Kind::File => (REGULAR | mode) << 16,
    }
}
