//! What is inside: whether each part is the whole document its name says.

use std::collections::BTreeMap;
use std::io::Read as _;

use crate::cloudify::Snapshot;
use crate::read::EntryReader;
use crate::zip::Kind;
use crate::{Archive, Error, OpenOptions, Refusal, Result, Strictness};

/// Documents up to this size are parsed; what is larger was proven by its hash alone.
const DOCUMENT: u64 = 64 << 20;

/// Looks into every part of a manager's snapshot that has a known shape; gives how many of each
/// kind there were. In other archives names promise nothing, and nothing is looked into.
pub(super) fn check(archive: &Archive) -> Result<BTreeMap<&'static str, u64>> {
    let mut findings = BTreeMap::new();
    match Snapshot::of(archive) {
        Ok(_) => {}
        Err(
            Error::Refused {
                reason: Refusal::UnknownEra(_),
                ..
            }
            | Error::KeyMissing { .. },
        ) => {
            return Ok(findings);
        }
        Err(error) => return Err(error),
    }
    for (index, view) in archive.entries().enumerate() {
        if view.kind() == Kind::Directory || view.is_sealed() && !archive.is_unlocked() {
            continue;
        }
        let Some(shape) = Shape::of(view.path()) else {
            continue;
        };
        if shape != Shape::Dump && view.size() > DOCUMENT {
            continue;
        }
        shape.check(archive, index)?;
        *findings.entry(shape.name()).or_default() += 1;
    }
    Ok(findings)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Dump,
    Json,
    Zip,
}

impl Shape {
    fn of(path: &str) -> Option<Self> {
        let file = path.rsplit('/').next().unwrap_or(path);
        match file {
            "pg_data" | "stage_data" | "composer_data" => Some(Shape::Dump),
            _ if file.ends_with(".json") && is_manager_document(path) => Some(Shape::Json),
            _ if file.ends_with(".zip") => Some(Shape::Zip),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shape::Dump => "database dumps",
            Shape::Json => "JSON documents",
            Shape::Zip => "archives",
        }
    }

    fn check(self, archive: &Archive, index: usize) -> Result<()> {
        let name = archive.view(index).name().to_owned();
        let bad = |what, why: String| Refusal::BadDocument { what, why }.of(&*name);
        match self {
            Shape::Dump => check_dump(archive, index).and_then(|whole| match whole {
                true => Ok(()),
                false => Err(bad(
                    "the dump",
                    "its end is missing: it was cut short".to_owned(),
                )),
            }),
            Shape::Json => {
                let bytes = archive.read_index(index, DOCUMENT)?;
                match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
                    Ok(_) => Ok(()),
                    Err(e) => Err(bad("the JSON", e.to_string())),
                }
            }
            Shape::Zip => {
                let bytes = archive.read_index(index, DOCUMENT)?;
                // Managers call every upload .zip, whatever it is.
                if !bytes.starts_with(b"PK") {
                    return Ok(());
                }
                let inner = OpenOptions::new()
                    .strictness(Strictness::Lenient)
                    .open_source(bytes);
                match inner {
                    Err(Error::Refused {
                        reason:
                            reason @ (Refusal::NoEndRecord
                            | Refusal::Truncated(_)
                            | Refusal::WrongCounts(_)),
                        ..
                    }) => Err(bad("the archive inside", reason.to_string())),
                    // What users pack into it is their affair, as long as it is whole.
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The documents of a manager; JSON of blueprints and the like is the users' own affair.
fn is_manager_document(path: &str) -> bool {
    let top_level = !path.contains('/');
    top_level || path.starts_with("mgmt/") || path.starts_with("tenants/")
}

/// Whether a plain SQL dump has the line `pg_dump` ends with.
fn check_dump(archive: &Archive, index: usize) -> Result<bool> {
    const END: &[u8] = b"PostgreSQL database dump complete";
    let fail = || Error::io(format!("reading {}", archive.view(index).name()));
    let mut reader = EntryReader::new(archive, index)?;
    let mut buffer = vec![0; 64 << 10];
    let mut held = 0;
    let mut found = false;
    loop {
        let n = reader.read(&mut buffer[held..]).map_err(fail())?;
        if n == 0 {
            return Ok(found);
        }
        let filled = held + n;
        found |= buffer[..filled]
            .windows(END.len())
            .any(|window| window == END);
        held = filled.min(END.len() - 1);
        buffer.copy_within(filled - held..filled, 0);
    }
}
