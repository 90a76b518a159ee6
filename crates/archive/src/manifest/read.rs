use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::record::{Chunk, Header, Line, Profile, Record};
use super::{CHUNKS_A_LINE, FORMAT, FORMAT_VERSION, MAX_LINE, plain};
use crate::chunk::CHUNK;
use crate::seal::SALT;
use crate::zip::{Entry, Kind};
use crate::{Digest, Error, Refusal, Result};

/// How many components there may be, and bytes of their names.
const MOST_COMPONENTS: usize = 1024;
const LONGEST_COMPONENT: usize = 1024;

/// Reads a manifest line by line and holds it against the entries, in one pass.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) profile: Profile,
    pub(crate) snapshot_id: String,
    pub(crate) format_version: String,
    pub(crate) components: Vec<Arc<str>>,
    /// The place of each among them.
    numbers: HashMap<Arc<str>, u16>,
    pub(crate) records: Vec<Record>,
    pub(crate) root: Digest,
}

fn bad(why: impl Into<String>) -> Error {
    Refusal::BadDocument {
        what: "the manifest",
        why: why.into(),
    }
    .bare()
}

fn differs(entry: &str, what: impl Into<String>) -> Error {
    Refusal::ManifestMismatch(what.into()).of(entry)
}

impl Reader {
    /// `entries` are those the manifest must list, in archive order.
    pub(crate) fn read<'e>(
        mut text: impl BufRead,
        entries: impl ExactSizeIterator<Item = &'e Entry>,
    ) -> Result<Self> {
        let mut hasher = Sha256::new();
        let mut line = Vec::new();
        read_line(&mut text, &mut line)?;
        let header = parse_header(&line)?;
        let mut reader = Reader {
            profile: header.profile,
            snapshot_id: header.snapshot_id.into_owned(),
            format_version: header.format_version.into_owned(),
            components: Vec::new(),
            numbers: HashMap::new(),
            records: Vec::with_capacity(entries.len()),
            root: Digest([0; 32]),
        };
        hasher.update(&line);
        let mut entries = entries;
        let mut last: Option<&Entry> = None;
        let mut chunks = Vec::new();
        let mut bytes = 0u64;
        let end = loop {
            read_line(&mut text, &mut line)?;
            let parsed =
                parse(&line).map_err(|e| bad(format!("line {}: {e}", reader.records.len() + 2)))?;
            if let Some(more) = parsed.chunks {
                if more.len() > CHUNKS_A_LINE || chunks.len() % CHUNKS_A_LINE != 0 {
                    return Err(bad("lines of chunks must be full but the last"));
                }
                let entry = last.ok_or_else(|| bad("chunks without an entry"))?;
                // No chunk packs to less than a thousandth: bounds the memory a file can ask for.
                if (chunks.len() + more.len()) as u64 > entry.stored / 1000 + 1 {
                    return Err(differs(&entry.name, "its chunks do not add up"));
                }
                chunks.extend(more);
                hasher.update(&line);
                continue;
            }
            if let Some(entry) = last {
                reader.close(entry, std::mem::take(&mut chunks))?;
            }
            if parsed.end == Some(true) {
                break parsed;
            }
            let path = parsed
                .path
                .as_deref()
                .ok_or_else(|| bad("a line that says nothing"))?;
            let entry = entries
                .next()
                .ok_or_else(|| differs(path, "listed and not in the archive"))?;
            if *entry.name != *path {
                return Err(differs(
                    &entry.name,
                    format!("{path:?} should be in its place"),
                ));
            }
            let record = reader.record(entry, &parsed)?;
            reader.records.push(record);
            bytes = bytes.saturating_add(entry.size);
            last = Some(entry);
            hasher.update(&line);
        };
        if let Some(entry) = entries.next() {
            return Err(differs(&entry.name, "in the archive and not listed"));
        }
        reader.root = Digest::finish(hasher);
        if end.root != Some(reader.root) {
            return Err(bad(
                "its root does not match its lines: it was changed or damaged",
            ));
        }
        if (end.entries, end.bytes) != (Some(reader.records.len() as u64), Some(bytes)) {
            return Err(bad("its totals do not match its lines"));
        }
        match text.fill_buf() {
            Ok([]) => Ok(reader),
            Ok(_) => Err(bad("text after its end line")),
            Err(e) => Err(Error::io("reading the manifest")(e)),
        }
    }

    fn record(&mut self, entry: &Entry, line: &Line<'_>) -> Result<Record> {
        let mode = line
            .mode
            .as_deref()
            .and_then(|mode| u32::from_str_radix(mode, 8).ok());
        if mode != Some(entry.mode) {
            return Err(differs(&entry.name, "another mode"));
        }
        let component = match line.component.as_deref() {
            None => None,
            Some(name) => Some(self.component(name)?),
        };
        let class = line.class.unwrap_or_default();
        if entry.kind() == Kind::Directory {
            if line.size.is_some() || line.stored.is_some() || line.sha256.is_some() {
                return Err(differs(&entry.name, "a directory with content"));
            }
            let sha256 = Digest([0; 32]);
            return Ok(Record {
                sha256,
                class,
                component,
                seal: None,
                chunks: Box::default(),
            });
        }
        if line.size != Some(entry.size) {
            return Err(differs(&entry.name, "another size"));
        }
        if line.stored != Some(entry.stored) {
            return Err(differs(&entry.name, "another stored size"));
        }
        let sha256 = line
            .sha256
            .ok_or_else(|| differs(&entry.name, "no SHA-256"))?;
        // Each is kept: nothing longer than one of ours.
        if line
            .seal
            .as_ref()
            .is_some_and(|it| it.salt.len() != 2 * SALT)
        {
            return Err(differs(&entry.name, "the salt of its seal is none"));
        }
        let seal = line.seal.clone().map(Box::new);
        if seal.is_some() != entry.name.ends_with(crate::seal::SUFFIX) {
            return Err(differs(&entry.name, "its name and its seal disagree"));
        }
        Ok(Record {
            sha256,
            class,
            component,
            seal,
            chunks: Box::default(),
        })
    }

    /// Checks and keeps the chunks of the entry before.
    fn close(&mut self, entry: &Entry, chunks: Vec<Chunk>) -> Result<()> {
        let record = self.records.last_mut().expect("pushed with its entry");
        let sealed = record.seal.is_some();
        let cut = match &record.seal {
            None => entry.size > CHUNK as u64,
            Some(seal) => seal.size > CHUNK as u64,
        };
        if !cut && chunks.is_empty() {
            return Ok(());
        }
        let content = record.seal.as_ref().map_or(entry.size, |seal| seal.size);
        let stored: u64 = chunks.iter().map(|chunk| u64::from(chunk.0)).sum();
        let rest = entry.stored.checked_sub(stored);
        let ends = entry.method.end_of_chunks(sealed);
        let whole = cut
            && chunks.len() as u64 == content.div_ceil(CHUNK as u64)
            && rest == Some(ends)
            && chunks
                .iter()
                .all(|chunk| (1..=2 * CHUNK as u32).contains(&chunk.0));
        if !whole {
            return Err(differs(&entry.name, "its chunks do not add up"));
        }
        record.chunks = chunks.into_boxed_slice();
        Ok(())
    }

    fn component(&mut self, name: &str) -> Result<u16> {
        if let Some(index) = self.numbers.get(name) {
            return Ok(*index);
        }
        if name.len() > LONGEST_COMPONENT || self.components.len() == MOST_COMPONENTS {
            return Err(bad(format!(
                "more than {MOST_COMPONENTS} components, or one with a name of more than \
                 {LONGEST_COMPONENT} bytes"
            )));
        }
        let (name, index) = (Arc::<str>::from(name), self.components.len() as u16);
        self.components.push(Arc::clone(&name));
        self.numbers.insert(name, index);
        Ok(index)
    }
}

/// Whole lines are held to be UTF-8, which is quicker than string by string.
fn parse(line: &[u8]) -> std::result::Result<Line<'_>, Box<dyn std::error::Error>> {
    let line = std::str::from_utf8(line)?;
    match plain::file(line) {
        Some(file) => Ok(file),
        None => Ok(serde_json::from_str(line)?),
    }
}

fn parse_header(line: &[u8]) -> Result<Header<'static>> {
    let header: Header<'_> =
        serde_json::from_slice(line).map_err(|e| bad(format!("its first line: {e}")))?;
    if header.format != FORMAT {
        return Err(bad(format!(
            "its format is {:?}, not {FORMAT:?}",
            header.format
        )));
    }
    let version = |text: &str| -> Option<(u64, u64)> {
        let mut parts = text.split('.');
        let mut next = || parts.next()?.parse().ok();
        Some((next()?, next()?))
    };
    let (ours, needed) = (version(FORMAT_VERSION), version(&header.min_reader));
    let major = |v: Option<(u64, u64)>| v.map(|(major, _)| major);
    if needed.is_none() || version(&header.format_version).is_none() {
        return Err(bad("its version is no version"));
    }
    if needed > ours || major(version(&header.format_version)) != major(ours) {
        let needed = header.min_reader.max(header.format_version).into_owned();
        return Err(Refusal::NewerFormat {
            needed,
            ours: FORMAT_VERSION,
        }
        .bare());
    }
    if header.hash != "sha256" || header.chunk != CHUNK as u64 {
        return Err(bad("its hash or chunk size is not that of this version"));
    }
    Ok(Header {
        format: FORMAT.into(),
        format_version: header.format_version.into_owned().into(),
        min_reader: header.min_reader.into_owned().into(),
        profile: header.profile,
        snapshot_id: header.snapshot_id.into_owned().into(),
        hash: "sha256".into(),
        chunk: header.chunk,
    })
}

/// Reads one line, its end included, into `line`.
fn read_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> Result<()> {
    line.clear();
    let mut limited = std::io::Read::take(&mut *text, MAX_LINE);
    limited
        .read_until(b'\n', line)
        .map_err(Error::io("reading the manifest"))?;
    match line.last() {
        Some(b'\n') => Ok(()),
        _ if line.len() as u64 == MAX_LINE => Err(bad("a line of more than 64 KiB")),
        _ => Err(bad("its end line is missing: it was cut short")),
    }
}
