//! Verifying an archive as it passes by.

mod content;
mod feed;

use std::io::Read;
use std::sync::Arc;

use content::{Content, unpack};
use feed::Feed;

use crate::manifest::{self, MANIFEST, METADATA};
use crate::name::{self, Names};
use crate::read::{claims_our_format, listed};
use crate::verify::{Level, Report, content_digest, covered};
use crate::zip::{
    CENTRAL, Central, Directory, End, Entry, Forgivable, Forgiven, LOCAL, Local, LocalHeader,
    Method, Signature,
};
use crate::{Archive, Error, Limits, OpenOptions, Refusal, Result, Watch};

/// Verifies an archive while it passes by, from a pipe or a download, without seeking and with
/// little memory. All that [`verify`](crate::verify) at [`Level::Full`](crate::VerifyLevel::Full)
/// refuses is refused here too; only at the end is anything proven.
///
/// Keys in `options` are not used: sealed entries are proven sealed.
///
/// # Errors
/// As [`verify`](crate::verify).
///
/// ```
/// use stillpoint_archive::{
///     Assurance, EntryOptions, OpenOptions, Watch, WriteOptions, Writer, verify_stream,
/// };
///
/// let mut archive = Vec::new();
/// let mut writer = Writer::stream(&mut archive, &WriteOptions::new())?;
/// writer.bytes("greeting.txt", "hello", &EntryOptions::new())?;
/// writer.finish()?;
/// let report = verify_stream(&archive[..], &OpenOptions::new(), &Watch::none())?;
/// assert_eq!(report.assurance, Assurance::Verified);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_stream(source: impl Read, options: &OpenOptions, watch: &Watch) -> Result<Report> {
    let mut passing = Passing {
        feed: Feed::new(source),
        limits: options.limits_ref().clone(),
        lenient: options.is_lenient(),
        forgiven: Forgiven::new(),
        names: Names::default(),
        seen: Vec::new(),
        total: 0,
        metadata: Vec::new(),
        manifest: Vec::new(),
        covered: 0,
        watch: watch.start(None),
    };
    while passing.at_entry()? {
        passing.entry()?;
    }
    let data_end = passing.feed.at;
    passing.covered = passing.feed.crc.clone().finalize();
    let entries = passing.directory()?;
    let end = passing.end(data_end, entries.len() as u64)?;
    passing.conclude(entries, end)
}

/// An entry that passed.
struct Seen {
    offset: u64,
    /// The local header as it was.
    header: Box<[u8]>,
    content: Content,
}

struct Passing<R> {
    feed: Feed<R>,
    limits: Limits,
    lenient: bool,
    forgiven: Forgiven,
    names: Names,
    seen: Vec<Seen>,
    total: u64,
    /// `metadata.json` as it is stored, if it is the first entry, and short.
    metadata: Vec<u8>,
    /// The manifest as it is stored.
    manifest: Vec<u8>,
    /// CRC-32 of all before the central directory.
    covered: u32,
    watch: Watch,
}

impl<R: Read> Passing<R> {
    fn at_entry(&mut self) -> Result<bool> {
        Ok(self.feed.peek(4)? == Signature::LOCAL.to_le_bytes())
    }

    fn entry(&mut self) -> Result<()> {
        let offset = self.feed.at;
        let fixed = self
            .feed
            .need(LOCAL, "a local header")?
            .first_chunk()
            .expect("asked for");
        let (name, extra) = LocalHeader::variable_part(fixed).expect("looked at by at_entry");
        let length = LOCAL + name + extra;
        let header: Box<[u8]> = self.feed.need(length, "a local header")?.into();
        self.feed.consume(length);
        let parsed = LocalHeader::decode(&header);
        let name = std::str::from_utf8(parsed.name).map_err(|_| Refusal::BadUtf8.at(offset))?;
        let fail = |reason: Refusal| reason.of_at(name, offset);
        name::check(name, &self.limits).map_err(fail)?;
        self.names.insert(name)?;
        if self.seen.len() as u64 + self.names.implied() >= self.limits.entries {
            let (what, limit) = ("the number of entries", self.limits.entries);
            return Err(fail(Refusal::Limit {
                what,
                found: limit + 1,
                limit,
            }));
        }
        let shape = parsed.shape(self.lenient).map_err(fail)?;
        let content = self
            .content(name, shape.method, shape.stored)
            .map_err(|e| e.about(name))?;
        self.total += content.size;
        if self.total > self.limits.total {
            let (what, found, limit) = ("the total size", self.total, self.limits.total);
            return Err(fail(Refusal::Limit { what, found, limit }));
        }
        if let Some(descriptor) = shape.descriptor {
            let bytes = self.feed.need(descriptor as usize, "a data descriptor")?;
            let Content {
                crc, stored, size, ..
            } = content;
            crate::zip::check_descriptor(bytes, crc, stored, size).map_err(fail)?;
            self.feed.consume(descriptor as usize);
        }
        self.seen.push(Seen {
            offset,
            header,
            content,
        });
        Ok(())
    }

    fn content(&mut self, name: &str, method: Method, stored: Option<u64>) -> Result<Content> {
        let room = self.limits.total.saturating_sub(self.total);
        let limit = self.limits.entry.min(room);
        let mut ignore = |_: &[u8]| Ok(());
        let first = self.seen.is_empty();
        // What a manifest of these entries takes at the very most.
        let most = (64 << 10) + self.seen.len() as u64 * 2048 + self.feed.at / 8;
        let (metadata, document) = (&mut self.metadata, self.limits.document as usize);
        let mut keep_metadata = |bytes: &[u8]| {
            if metadata.len() + bytes.len() <= document {
                metadata.extend(bytes);
            }
            Ok(())
        };
        let manifest = &mut self.manifest;
        let mut keep_manifest = |bytes: &[u8]| {
            manifest.extend(bytes);
            match manifest.len() as u64 > most {
                true => Err(Refusal::BadDocument {
                    what: "the manifest",
                    why: "it is larger than its entries can make it".to_owned(),
                }
                .bare()),
                false => Ok(()),
            }
        };
        let keep: &mut dyn FnMut(&[u8]) -> Result<()> = match name {
            MANIFEST => &mut keep_manifest,
            METADATA if first => &mut keep_metadata,
            _ => &mut ignore,
        };
        unpack(&mut self.feed, method, stored, limit, &self.watch, keep)
    }

    /// The central directory, each record held against what passed.
    fn directory(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(self.seen.len());
        while self.feed.peek(4)? == Signature::CENTRAL.to_le_bytes() {
            let at = self.feed.at;
            let fixed = self.feed.need(CENTRAL, "the central directory")?;
            let (name, extra, comment) = Central::variable_part(fixed).expect("looked at");
            if comment != 0 {
                return Err(Refusal::Comment(comment as u16).at(at));
            }
            let length = CENTRAL + name + extra;
            let record = self.feed.need(length, "the central directory")?;
            let entry = {
                let lenient = self.lenient.then_some(&mut self.forgiven);
                Entry::from_central(&Central::decode(record), &self.limits, lenient)
            };
            let entry = entry.map_err(|(entry, reason)| Error::Refused {
                entry,
                offset: Some(at),
                reason,
            })?;
            self.feed.consume(length);
            entries.push(entry);
            if entries.len() > self.seen.len() {
                return Err(Refusal::WrongCounts("more records than entries").at(at));
            }
        }
        if entries.len() != self.seen.len() {
            return Err(Refusal::WrongCounts("fewer records than entries").at(self.feed.at));
        }
        entries.sort_by_key(|entry| entry.offset);
        for (entry, seen) in entries.iter().zip(&self.seen) {
            let fail = |reason: Refusal| reason.of_at(&*entry.name, entry.offset);
            if entry.offset != seen.offset {
                return Err(fail(Refusal::HeaderMismatch("the offset")));
            }
            let lenient = self.lenient.then_some(&mut self.forgiven);
            Local::check(entry, &LocalHeader::decode(&seen.header), lenient).map_err(fail)?;
            let Content {
                crc, stored, size, ..
            } = seen.content;
            if crc != entry.crc {
                return Err(fail(Refusal::CrcMismatch {
                    found: crc,
                    recorded: entry.crc,
                }));
            }
            if (stored, size) != (entry.stored, entry.size) {
                return Err(fail(Refusal::SizeMismatch {
                    found: size,
                    recorded: entry.size,
                }));
            }
        }
        Ok(entries)
    }

    /// The end records, and that nothing follows them.
    fn end(&mut self, data_end: u64, entries: u64) -> Result<End> {
        let at = self.feed.at;
        let tail = self.feed.peek(End::LENGTH + 1)?.to_vec();
        if tail.len() > End::LENGTH {
            return Err(Refusal::NoEndRecord.at(at));
        }
        let end = End::decode(&tail, at + tail.len() as u64)?;
        match (end.entries, end.offset, end.size) == (entries, data_end, at - data_end) {
            true => Ok(end),
            false => Err(Refusal::WrongCounts("they describe another one").at(at)),
        }
    }

    fn conclude(mut self, entries: Vec<Entry>, end: End) -> Result<Report> {
        let listed = listed(&entries, &end)?;
        for entry in &entries[listed.unwrap_or(0)..] {
            entry
                .check_ratio(&self.limits)
                .map_err(|reason| reason.of_at(&*entry.name, entry.offset))?;
        }
        let manifest = match listed {
            None if claims_our_format(&self.metadata) => {
                let why = "metadata.json says there is one, and there is none".to_owned();
                return Err(Refusal::ManifestMismatch(why).of(MANIFEST));
            }
            None => None,
            Some(listed) => {
                covered(entries[listed].coverage, self.covered)?;
                Some(self.manifest(&entries, listed)?)
            }
        };
        if self.lenient && self.names.implied() > 0 {
            self.forgiven
                .insert(Forgivable::MissingDirectory, self.names.implied());
        }
        let implied = self.names.implied();
        let forgiven = std::mem::take(&mut self.forgiven);
        let directory = Directory {
            entries,
            locals: Vec::new(),
            end,
            implied,
            forgiven,
        };
        // A view of what passed; nothing is read from it any more.
        let source = Arc::new(Vec::new());
        let archive = Archive::passed(source, directory, manifest, self.limits.clone());
        archive.check_paths()?;
        let mut report = Report::of(&archive, Level::Full);
        report.opened = archive.sealed() == 0;
        report.content_digest = content_digest(&archive, |index| {
            (!archive.view(index).is_sealed()).then(|| self.seen[index].content.sha256)
        });
        Ok(report)
    }

    fn manifest(&mut self, entries: &[Entry], listed: usize) -> Result<manifest::Reader> {
        let stored = std::mem::take(&mut self.manifest);
        let text: Box<dyn Read> = match entries[listed].method {
            Method::Store => Box::new(&stored[..]),
            Method::Deflate => Box::new(flate2::bufread::DeflateDecoder::new(&stored[..])),
            #[cfg(feature = "zstd")]
            Method::Zstd => Box::new(
                zstd::stream::read::Decoder::with_buffer(&stored[..])
                    .map_err(Error::io("starting zstd"))?,
            ),
            #[cfg(not(feature = "zstd"))]
            Method::Zstd => return Err(Refusal::UnsupportedMethod(93).of(MANIFEST)),
        };
        let text = std::io::BufReader::with_capacity(256 << 10, text);
        let manifest = manifest::Reader::read(text, entries[..listed].iter())?;
        for ((entry, seen), record) in entries.iter().zip(&self.seen).zip(&manifest.records) {
            if entry.kind() == crate::Kind::File && seen.content.sha256 != record.sha256 {
                return Err(Refusal::HashMismatch.of_at(&*entry.name, entry.offset));
            }
        }
        Ok(manifest)
    }
}
