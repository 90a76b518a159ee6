//! What an archive says of the snapshot in it: `snapshot.json`, and one entry a volume.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use stillpoint_archive::{Archive, Kind};
use stillpoint_core::{Digest, Error, ErrorKind, Result, Snapshot, SnapshotState};

use crate::failure::{NOT_OURS, of_archive};

/// The entry that describes the snapshot. It is the last one, since digests stand in it.
pub(crate) const DOCUMENT: &str = "snapshot.json";

/// Bytes of the largest description that is read: it has to fit into a job's plan.
const LONGEST: u64 = 256 << 10;

/// The version of the description that this crate writes, and the last that it reads.
const VERSION: u32 = 1;

/// The snapshot in an archive.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Document {
    version: u32,
    /// As the catalogue had it, without what is of that catalogue alone. Every part has a digest.
    pub(crate) snapshot: Snapshot,
    /// The entries of the volumes, in the order of the parts.
    pub(crate) volumes: Vec<String>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Document {
    /// Of a snapshot whose parts had these digests when they were read.
    pub(crate) fn new(snapshot: &Snapshot, digests: &[Digest]) -> Self {
        let mut snapshot = bare(snapshot);
        for (part, digest) in snapshot.parts.iter_mut().zip(digests) {
            part.digest = Some(*digest);
        }
        Self {
            version: VERSION,
            volumes: entries(&snapshot),
            snapshot,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("plain data with text for keys")
    }

    /// Reads and checks it; `place` is what the archive is called.
    pub(crate) fn read(archive: &Archive, place: &impl ToString) -> Result<Self> {
        if archive.root().is_none() || archive.entry(DOCUMENT).is_none() {
            return Err(foreign(place, "it is no snapshot that was exported"));
        }
        let bytes = archive
            .read_up_to(DOCUMENT, LONGEST)
            .map_err(|error| of_archive(place, error))?;
        let document = Self::parse(&bytes, place)?;
        document.check(archive, place)?;
        Ok(document)
    }

    /// The content digests of the parts, in their order.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.snapshot
            .parts
            .iter()
            .filter_map(|part| part.digest)
            .collect()
    }

    fn parse(bytes: &[u8], place: &impl ToString) -> Result<Self> {
        let unreadable = |source: serde_json::Error| {
            foreign(place, &format!("its {DOCUMENT} cannot be read")).because(source)
        };
        let Versioned { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version > VERSION {
            let place = place.to_string();
            let message =
                format!("{place}: its {DOCUMENT} is of version {version}, known is {VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, message)
                .advise("Use the version that wrote it, or a later one"));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// Holds it against the archive that it is in: whoever wrote it may mean harm.
    fn check(&self, archive: &Archive, place: &impl ToString) -> Result<()> {
        let wrong = |what: String| Err(foreign(place, &what));
        let parts = &self.snapshot.parts;
        if parts.is_empty() || parts.len() != self.volumes.len() {
            return wrong(format!(
                "{} parts in {} entries",
                parts.len(),
                self.volumes.len()
            ));
        }
        let mut disks = BTreeSet::new();
        let mut held = BTreeSet::new();
        for (part, entry) in parts.iter().zip(&self.volumes) {
            if !disks.insert(&part.disk) || !held.insert(entry) {
                return wrong("a disk stands twice in it".to_owned());
            }
            let found = archive.entry(entry).filter(|it| it.kind() == Kind::File);
            match found.map(|it| it.size()) {
                Some(size) if size == part.size => {}
                Some(size) => {
                    return wrong(format!("{entry} has {size} bytes instead of {}", part.size));
                }
                None => return wrong(format!("{} is missing", entry.escape_debug())),
            }
            if part.digest.is_none() {
                return wrong(format!("{entry} has no content digest"));
            }
        }
        let snapshot = &self.snapshot;
        let lines = disks.into_iter().chain([&snapshot.name]);
        let lines = lines.chain(snapshot.labels.keys());
        for line in lines {
            if line.is_empty() || line.len() > 255 || line.chars().any(char::is_control) {
                return wrong("a name in it is empty, too long or has control characters".into());
            }
        }
        Ok(())
    }
}

/// The snapshot without what only the catalogue that it comes from can mean: who keeps it there,
/// which schedule prunes it there, and when.
pub(crate) fn bare(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        state: SnapshotState::Archived,
        exports: Vec::new(),
        pins: BTreeSet::new(),
        schedule: None,
        expires_at: None,
        ..snapshot.clone()
    }
}

/// One entry a part. Disks may be called anything; the entry's number keeps them apart.
fn entries(snapshot: &Snapshot) -> Vec<String> {
    let parts = snapshot.parts.iter().enumerate();
    parts
        .map(|(number, part)| format!("volumes/{number}-{}.img", slug(&part.disk)))
        .collect()
}

/// The text in characters that every system takes in a file's name.
pub(crate) fn slug(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let slug: String = text.chars().take(64).map(plain).collect();
    match slug.trim_matches('-') {
        "" => "snapshot".to_owned(),
        slug => slug.to_owned(),
    }
}

fn foreign(place: &impl ToString, what: &str) -> Error {
    let message = format!("{}: {what}", place.to_string());
    Error::new(ErrorKind::Invalid, message).advise(NOT_OURS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_plain_name() {
        assert_eq!(slug("before the upgrade"), "before-the-upgrade");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("数据"), "snapshot");
        assert_eq!(slug(&"x".repeat(999)).len(), 64);
    }
}
