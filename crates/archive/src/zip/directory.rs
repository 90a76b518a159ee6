//! The central directory as a whole, and that every byte before it belongs to exactly one entry.

use super::extra::{Forgivable, Forgiven};
#[cfg(feature = "depot")]
use super::wire::{CENTRAL, Central};
use super::wire::{FLAG_DESCRIPTOR, LOCAL, LocalHeader};
use super::{DESCRIPTOR, End, Entry, Local, check_descriptor, records};
#[cfg(feature = "depot")]
use crate::manifest::MANIFEST;
use crate::read::{ReadAt, Window};
use crate::{Limits, Refusal, Result};

/// What there is of each entry before its data, and what was forgiven there.
pub(crate) type Locals = (Vec<Local>, Forgiven);

/// The checked entries, in the order of their data.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) entries: Vec<Entry>,
    /// Of each entry, where they were checked.
    pub(crate) locals: Vec<Local>,
    pub(crate) end: End,
    /// Folders without an entry of their own.
    pub(crate) implied: u64,
    pub(crate) forgiven: Forgiven,
}

impl Directory {
    /// The central directory alone: [`locals`](Self::locals) or
    /// [`check_offsets`](Self::check_offsets) has to follow.
    pub(crate) fn read(source: &dyn ReadAt, limits: &Limits, lenient: bool) -> Result<Self> {
        let length = source
            .size()
            .map_err(crate::Error::io("asking for the archive's size"))?;
        let end = End::read(source, length)?;
        let mut forgiven = Forgiven::new();
        let (entries, implied) =
            records::read(source, &end, limits, lenient.then_some(&mut forgiven))?;
        if lenient && implied > 0 {
            forgiven.insert(Forgivable::MissingDirectory, implied);
        }
        Ok(Directory {
            entries,
            locals: Vec::new(),
            end,
            implied,
            forgiven,
        })
    }

    /// Walks from byte 0 to the directory: each header where the entry before it ended. Gives
    /// what was forgiven, too.
    pub(crate) fn locals(&self, source: &dyn ReadAt, lenient: bool) -> Result<Locals> {
        let mut window = Window::new(source);
        let mut at = 0;
        let mut locals = Vec::with_capacity(self.entries.len());
        let mut forgiven = Forgiven::new();
        for entry in &self.entries {
            check_start(entry, at)?;
            let forgiven = lenient.then_some(&mut forgiven);
            let local = read_local(&mut window, entry, self.end.offset, forgiven)?;
            at += local.header + entry.stored + local.descriptor;
            locals.push(local);
        }
        check_data_end(at, self.end.offset)?;
        Ok((locals, forgiven))
    }

    /// Takes in what [`locals`](Self::locals) gave.
    pub(crate) fn set_locals(&mut self, (locals, forgiven): Locals) {
        self.locals = locals;
        for (what, times) in forgiven {
            *self.forgiven.entry(what).or_default() += times;
        }
    }

    /// What can be said without the local headers: what lies between two entries is short enough
    /// to be the headers a writer of ours makes.
    pub(crate) fn check_offsets(&self) -> Result<()> {
        let ends = self
            .entries
            .iter()
            .skip(1)
            .map(|e| e.offset)
            .chain([self.end.offset]);
        if self.entries.first().is_some_and(|e| e.offset != 0) {
            return Err(Refusal::Gap(self.entries[0].offset).at(0));
        }
        for (entry, end) in self.entries.iter().zip(ends) {
            let known = ((LOCAL + entry.name.len()) as u64).saturating_add(entry.stored);
            let start = entry.offset.saturating_add(known);
            let Some(rest) = end.checked_sub(start) else {
                return Err(Refusal::Overlap.of_at(&*entry.name, entry.offset));
            };
            const ZIP64: u64 = 20;
            let fits = match entry.has_descriptor() {
                false => rest == 0 || rest == ZIP64,
                true => rest == DESCRIPTOR[0] || rest == ZIP64 + DESCRIPTOR[1],
            };
            if !fits {
                return Err(Refusal::Gap(rest).of_at(&*entry.name, start));
            }
        }
        Ok(())
    }
}

fn check_start(entry: &Entry, at: u64) -> Result<()> {
    match entry.offset.checked_sub(at) {
        Some(0) => Ok(()),
        Some(gap) => Err(Refusal::Gap(gap).at(at)),
        None => Err(Refusal::Overlap.of_at(&*entry.name, entry.offset)),
    }
}

fn check_data_end(at: u64, data_end: u64) -> Result<()> {
    match data_end.checked_sub(at) {
        Some(0) => Ok(()),
        Some(gap) => Err(Refusal::Gap(gap).at(at)),
        None => Err(Refusal::Overlap.at(data_end)),
    }
}

/// Reads and checks one entry's local header and data descriptor.
pub(crate) fn read_local(
    window: &mut Window<'_>,
    entry: &Entry,
    data_end: u64,
    forgiven: Option<&mut Forgiven>,
) -> Result<Local> {
    let fail = |reason: Refusal| reason.of_at(&*entry.name, entry.offset);
    // Headers of small entries are neighbours: fetch many at once.
    let ahead = if entry.stored < 16 << 10 {
        256 << 10
    } else {
        1 << 10
    };
    let room = data_end.saturating_sub(entry.offset);
    if room < LOCAL as u64 {
        return Err(fail(Refusal::Truncated("a local header")));
    }
    let fixed = window
        .get(entry.offset, LOCAL, ahead)?
        .first_chunk()
        .expect("asked for");
    let (name, extra) = LocalHeader::variable_part(fixed)
        .ok_or_else(|| fail(Refusal::HeaderMismatch("the signature")))?;
    let length = LOCAL + name + extra;
    if room < length as u64 {
        return Err(fail(Refusal::Truncated("a local header")));
    }
    let header = LocalHeader::decode(window.get(entry.offset, length, ahead)?);
    let local = Local::check(entry, &header, forgiven).map_err(fail)?;
    let whole = (local.header + local.descriptor).checked_add(entry.stored);
    if whole.is_none_or(|whole| whole > room) {
        return Err(fail(Refusal::Overlap));
    }
    if entry.flags & FLAG_DESCRIPTOR != 0 {
        let at = entry.offset + local.header + entry.stored;
        let bytes = window.get(at, local.descriptor as usize, ahead)?;
        check_descriptor(bytes, entry.crc, entry.stored, entry.size).map_err(fail)?;
    }
    Ok(local)
}

/// Where a directory that begins with these bytes says that the manifest is: to fetch it, before
/// anything is checked.
#[cfg(feature = "depot")]
pub(crate) fn manifest_offset(mut directory: &[u8]) -> Option<u64> {
    while directory.len() >= CENTRAL {
        let (name, extra, comment) = Central::variable_part(directory)?;
        let (record, rest) = directory.split_at_checked(CENTRAL + name + extra + comment)?;
        let record = Central::decode(record);
        if record.name == MANIFEST.as_bytes() {
            let (size, stored, offset) = (record.size, record.stored, record.offset);
            let wide = super::extra::central(size, stored, offset, record.extra, None);
            return wide.ok().map(|wide| wide.offset);
        }
        directory = rest;
    }
    None
}
