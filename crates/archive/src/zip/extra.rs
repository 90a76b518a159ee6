//! Extra fields: ZIP64 is read, what old writers add is recognised, all else is refused.

use std::collections::BTreeMap;

use super::wire::MAX32;
use crate::Refusal;

/// What a lenient reader let pass, with how often.
pub(crate) type Forgiven = BTreeMap<Forgivable, u64>;

/// What [`Strictness::Lenient`](crate::Strictness::Lenient) lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Forgivable {
    /// Compression-level hints in the flags (bits 1 and 2).
    CompressionHint,
    /// Directories marked as deflated.
    DeflatedDirectory,
    /// Empty files that are stored and have a data descriptor.
    EmptyWithDescriptor,
    /// Times, owners and the like in extra fields of Info-ZIP, PKWARE and 7-Zip.
    ExtraField,
    /// A local header that needs another version than its central record.
    LocalVersion,
    /// Folders that have no entry of their own. Accepted by the strict reader too, and said.
    MissingDirectory,
    /// ZIP64 fields although the values would have fitted.
    NeedlessZip64,
    /// Sizes in a local header although a data descriptor has them too, and the same.
    SizesTwice,
}

impl std::fmt::Display for Forgivable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forgivable::CompressionHint => "compression hints in flags",
            Forgivable::DeflatedDirectory => "directories marked as deflated",
            Forgivable::EmptyWithDescriptor => "empty files with a data descriptor",
            Forgivable::ExtraField => "extra fields of old writers",
            Forgivable::LocalVersion => "another version in a local header",
            Forgivable::MissingDirectory => "folders without an entry of their own",
            Forgivable::NeedlessZip64 => "needless ZIP64 fields",
            Forgivable::SizesTwice => "sizes before and after the data",
        })
    }
}

const ZIP64: u16 = 0x0001;
/// NTFS times, UNIX times and owners: PKWARE and Info-ZIP's, old and new.
const HARMLESS: [u16; 6] = [0x000a, 0x000d, 0x5455, 0x5855, 0x7855, 0x7875];

/// Ours, on the manifest's central record: CRC-32 of every byte before the central directory.
const COVERAGE: u16 = 0x5053;

/// Sizes and offset of a record once ZIP64 had its say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wide {
    pub(crate) size: u64,
    pub(crate) stored: u64,
    pub(crate) offset: u64,
    pub(crate) zip64: bool,
    pub(crate) coverage: Option<u32>,
}

/// Walks the fields; gives the ZIP64 one, shows the others.
fn zip64_field(
    mut extra: &[u8],
    mut other: impl FnMut(u16, &[u8]) -> Result<(), Refusal>,
) -> Result<Option<&[u8]>, Refusal> {
    let mut found = None;
    while !extra.is_empty() {
        if extra.len() < 4 {
            return Err(Refusal::ExtraField(0));
        }
        let id = u16::from_le_bytes([extra[0], extra[1]]);
        let length = usize::from(u16::from_le_bytes([extra[2], extra[3]]));
        let Some(body) = extra[4..].get(..length) else {
            return Err(Refusal::ExtraField(id));
        };
        extra = &extra[4 + length..];
        if id == ZIP64 {
            if found.replace(body).is_some() {
                return Err(Refusal::Zip64);
            }
        } else {
            other(id, body)?;
        }
    }
    Ok(found)
}

/// Counts a harmless field, refuses others.
fn harmless(id: u16, forgiven: Option<&mut Forgiven>) -> Result<(), Refusal> {
    match forgiven {
        Some(forgiven) if HARMLESS.contains(&id) => {
            *forgiven.entry(Forgivable::ExtraField).or_default() += 1;
            Ok(())
        }
        _ => Err(Refusal::ExtraField(id)),
    }
}

/// Reads a central record's sizes. ZIP64 fields stand exactly for those that say so.
pub(crate) fn central(
    size: u32,
    stored: u32,
    offset: u32,
    extra: &[u8],
    mut forgiven: Option<&mut Forgiven>,
) -> Result<Wide, Refusal> {
    let mut wide = Wide {
        size: u64::from(size),
        stored: u64::from(stored),
        offset: u64::from(offset),
        zip64: false,
        coverage: None,
    };
    let zip64 = zip64_field(extra, |id, body| {
        match (id, wide.coverage, body.try_into()) {
            (COVERAGE, None, Ok(crc)) => {
                wide.coverage = Some(u32::from_le_bytes(crc));
                Ok(())
            }
            _ => harmless(id, forgiven.as_deref_mut()),
        }
    })?;
    let Some(mut body) = zip64 else {
        return Ok(wide);
    };
    wide.zip64 = true;
    let mut needless = true;
    for (narrow, value) in [
        (size, &mut wide.size),
        (stored, &mut wide.stored),
        (offset, &mut wide.offset),
    ] {
        if narrow == MAX32 {
            let (head, rest) = body.split_at_checked(8).ok_or(Refusal::Zip64)?;
            *value = u64::from_le_bytes(head.try_into().expect("eight bytes"));
            needless &= *value < u64::from(MAX32);
            body = rest;
        }
    }
    if !body.is_empty() {
        return Err(Refusal::Zip64);
    }
    if needless {
        match forgiven {
            Some(forgiven) if size == MAX32 || stored == MAX32 || offset == MAX32 => {
                *forgiven.entry(Forgivable::NeedlessZip64).or_default() += 1;
            }
            _ => return Err(Refusal::Zip64),
        }
    }
    Ok(wide)
}

/// Reads a local header's sizes, which ZIP64 always carries both of.
pub(crate) fn local(
    size: u32,
    stored: u32,
    extra: &[u8],
    mut forgiven: Option<&mut Forgiven>,
) -> Result<Wide, Refusal> {
    let zip64 = zip64_field(extra, |id, _| harmless(id, forgiven.as_deref_mut()))?;
    let Some(body) = zip64 else {
        let (size, stored) = (u64::from(size), u64::from(stored));
        return Ok(Wide {
            size,
            stored,
            offset: 0,
            zip64: false,
            coverage: None,
        });
    };
    let body: &[u8; 16] = body.try_into().map_err(|_| Refusal::Zip64)?;
    if size != MAX32 || stored != MAX32 {
        return Err(Refusal::Zip64);
    }
    let at = |from: usize| u64::from_le_bytes(body[from..from + 8].try_into().expect("in range"));
    Ok(Wide {
        size: at(0),
        stored: at(8),
        offset: 0,
        zip64: true,
        coverage: None,
    })
}

/// The ZIP64 field with these values.
pub(crate) fn encode_zip64(values: &[u64]) -> Vec<u8> {
    let mut field = Vec::with_capacity(4 + values.len() * 8);
    field.extend(ZIP64.to_le_bytes());
    field.extend((values.len() as u16 * 8).to_le_bytes());
    for value in values {
        field.extend(value.to_le_bytes());
    }
    field
}

/// The field that covers the archive.
pub(crate) fn encode_coverage(crc: u32) -> Vec<u8> {
    let mut field = COVERAGE.to_le_bytes().to_vec();
    field.extend(4u16.to_le_bytes());
    field.extend(crc.to_le_bytes());
    field
}
