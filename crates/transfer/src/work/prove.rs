use serde_json::Value;
use stillpoint_archive::Archive;
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_engine::background::{Meter, Stop, blocking};
use stillpoint_iaas::ContentDigester;

use super::Task;
use super::entry::Entry;
use crate::document::Document;
use crate::place::{ArchiveRef, Shelf};

impl Task {
    /// Reads the staged archive as whoever restores it would.
    pub(super) async fn prove(&self, shelf: &Shelf, wanted: Vec<Option<Digest>>) -> Result<Value> {
        let path = self.staging(shelf)?.archive();
        let (bench, line) = (self.bench.clone(), self.line.clone());
        blocking(move || {
            let place = ArchiveRef::File(path.clone());
            // What was sealed for others only cannot be opened here: then its seals are proven.
            let (archive, document) = bench.vault.open_made(&path, &place)?;
            let Some(document) = document else {
                return super::verify::in_full(&archive, &place, &line);
            };
            let sizes = document.snapshot.parts.iter().map(|part| part.size);
            let meter = line.meter(sizes.sum());
            let mut base = 0;
            for (number, entry) in document.volumes.iter().enumerate() {
                let part = &document.snapshot.parts[number];
                let found = digest_of(&archive, entry, line.stop(), base, &meter)?;
                let wanted = wanted.get(number).copied().flatten();
                if part.digest != Some(found) || wanted.is_some_and(|it| it != found) {
                    return Err(differs(&place, &document, number));
                }
                base += part.size;
            }
            Ok(Value::Null)
        })
        .await
    }
}

/// The content digest of an entry, once the manifest has proven all of it.
fn digest_of(
    archive: &Archive,
    entry: &str,
    stop: &Stop,
    base: u64,
    meter: &Meter,
) -> Result<Digest> {
    let size = archive.entry(entry).map_or(0, |entry| entry.size());
    let mut digester = ContentDigester::new(size);
    let mut entry = Entry::open(archive, entry)?;
    loop {
        let stretch = entry.next()?;
        for (offset, run) in stretch.runs() {
            digester.update(offset, &run);
        }
        meter.reach(base + stretch.end());
        stop.check()?;
        if stretch.is_last() {
            return Ok(digester.finish());
        }
    }
}

fn differs(place: &ArchiveRef, document: &Document, number: usize) -> Error {
    let disk = &document.snapshot.parts[number].disk;
    let message = format!("{place}: disk `{disk}` read back is not what was written");
    Error::new(ErrorKind::Corrupt, message).advise("Check the storage below it, and export again")
}
