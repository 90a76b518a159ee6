//! The records of the central directory, one by one, and that their names go together.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::extra::Forgiven;
use super::wire::{CENTRAL, Central};
use super::{End, Entry};
use crate::name::Names;
use crate::read::{ReadAt, Window};
use crate::{Error, Limits, Refusal, Result};

/// Bytes of the directory fetched at a time.
const AHEAD: usize = 256 << 10;

/// From so many entries on, opening is shared among threads.
pub(crate) const LARGE: u64 = 4096;

/// Bytes of names given to a thread at a time, and how often it may be behind.
const BATCH: usize = 64 << 10;
const BATCHES: usize = 2;
/// Between names on their way to it: no name that was checked holds a control character. What is
/// sent in one piece is read quicker than what the other thread keeps name by name.
const BETWEEN: char = '\n';

/// The checked entries in the order of their data, and how many folders have none of their own.
pub(super) fn read(
    source: &dyn ReadAt,
    end: &End,
    limits: &Limits,
    mut forgiven: Option<&mut Forgiven>,
) -> Result<(Vec<Entry>, u64)> {
    if end.entries > limits.entries {
        return Err(too_many("the number of entries", end.entries, limits, end));
    }
    if end.entries > end.size / CENTRAL as u64 {
        return Err(Refusal::WrongCounts("too many entries for its size").at(end.offset));
    }
    let large = end.entries >= LARGE;
    if large && let Some(read) = read_beside_names(source, end, limits, forgiven.as_deref_mut()) {
        return read;
    }
    let mut names = Names::with_capacity(end.entries as usize);
    let named = |name: &str| take_in(&mut names, name, limits, end);
    let entries = decode(source, end, limits, forgiven, named)?;
    Ok((entries, names.implied()))
}

/// The same with a thread for the names, which take as long as all else; none where there are no
/// more threads.
fn read_beside_names(
    source: &dyn ReadAt,
    end: &End,
    limits: &Limits,
    forgiven: Option<&mut Forgiven>,
) -> Option<Result<(Vec<Entry>, u64)>> {
    thread::scope(|scope| {
        let (give, batches) = sync_channel::<String>(BATCHES);
        let checking = thread::Builder::new().spawn_scoped(scope, move || -> Result<u64> {
            let mut names = Names::with_capacity(end.entries as usize);
            for batch in batches {
                for name in batch.split_terminator(BETWEEN) {
                    take_in(&mut names, name, limits, end)?;
                }
            }
            Ok(names.implied())
        });
        let checking = checking.ok()?;
        let mut batch = String::with_capacity(BATCH);
        // Who takes no more has a name to refuse, and that is told instead.
        let refused = |_| Error::Cancelled;
        let entries = decode(source, end, limits, forgiven, |name| {
            batch.push_str(name);
            batch.push(BETWEEN);
            match batch.len() < BATCH {
                true => Ok(()),
                false => give
                    .send(std::mem::replace(&mut batch, String::with_capacity(BATCH)))
                    .map_err(refused),
            }
        });
        let last = give.send(batch).map_err(refused);
        drop(give);
        // Every name that was given comes before whatever else was found.
        let implied = checking.join().expect("it does not panic");
        Some(implied.and_then(|implied| {
            last?;
            Ok((entries?, implied))
        }))
    })
}

fn take_in(names: &mut Names, name: &str, limits: &Limits, end: &End) -> Result<()> {
    names.insert(name)?;
    let folders = end.entries.saturating_add(names.implied());
    match folders > limits.entries {
        true => Err(too_many(
            "the number of entries and folders",
            folders,
            limits,
            end,
        )),
        false => Ok(()),
    }
}

fn too_many(what: &'static str, found: u64, limits: &Limits, end: &End) -> Error {
    let limit = limits.entries;
    Refusal::Limit { what, found, limit }.at(end.offset)
}

fn decode(
    source: &dyn ReadAt,
    end: &End,
    limits: &Limits,
    mut forgiven: Option<&mut Forgiven>,
    mut named: impl FnMut(&str) -> Result<()>,
) -> Result<Vec<Entry>> {
    let mut window = Window::new(source);
    let mut entries: Vec<Entry> = Vec::with_capacity(end.entries as usize);
    let (mut at, stop) = (end.offset, end.offset + end.size);
    let (mut total, mut sorted) = (0u64, true);
    while at < stop {
        let fail = |reason: Refusal| reason.at(at);
        let has_room = |length: usize| match stop - at < length as u64 {
            true => Err(fail(Refusal::Truncated("the central directory"))),
            false => Ok(()),
        };
        has_room(CENTRAL)?;
        let fixed = window.get(at, CENTRAL, AHEAD)?;
        let (name, extra, comment) = Central::variable_part(fixed)
            .ok_or_else(|| fail(Refusal::WrongCounts("it holds something else")))?;
        let length = CENTRAL + name + extra + comment;
        has_room(length)?;
        let record = Central::decode(window.get(at, length, AHEAD)?);
        if comment != 0 {
            return Err(fail(Refusal::Comment(comment as u16)));
        }
        let entry = Entry::from_central(&record, limits, forgiven.as_deref_mut()).map_err(
            |(entry, reason)| Error::Refused {
                entry,
                offset: Some(at),
                reason,
            },
        )?;
        named(&entry.name)?;
        total = total.saturating_add(entry.size);
        if total > limits.total {
            let (found, limit) = (total, limits.total);
            let what = "the total size";
            return Err(Refusal::Limit { what, found, limit }.at(end.offset));
        }
        sorted &= entries.last().is_none_or(|last| last.offset < entry.offset);
        entries.push(entry);
        at += length as u64;
        if entries.len() as u64 > end.entries {
            break;
        }
    }
    if entries.len() as u64 != end.entries || at != stop {
        return Err(Refusal::WrongCounts("the number of entries").at(at));
    }
    if !sorted {
        entries.sort_by_key(|entry| entry.offset);
    }
    Ok(entries)
}
