use std::fmt;

use serde::Serialize;

use super::{Files, SnapshotMetadata};
use crate::{Refusal, Result};

/// Which of Cloudify's layouts a snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Era {
    /// 3.2 to 3.4: Elasticsearch and InfluxDB data.
    A,
    /// 4.0: PostgreSQL, no tenants in its paths.
    B,
    /// 4.1 to 6.4, and 7.x on request: PostgreSQL with a schema revision, tenants.
    C,
    /// 7.0.0: entities as JSON, a folder a type.
    D,
    /// 7.0.1 and later: entities as JSON in numbered envelopes.
    E,
}

impl Era {
    /// Tells the era by what is there.
    ///
    /// # Errors
    /// [`Refusal::UnknownEra`] if it fits none, or more than one.
    pub(super) fn detect(files: &Files, metadata: &SnapshotMetadata) -> Result<Self> {
        let unknown = |why: &str| Err(Refusal::UnknownEra(why.to_owned()).bare());
        let dumped = files.contains("pg_data");
        let numbered = |folder: &str| {
            files.under(folder).any(|path| {
                let parts: Vec<&str> = path.split('/').collect();
                parts.last().is_some_and(|file| is_envelope(file))
                    && parts.len() == if folder == "mgmt" { 2 } else { 3 }
            })
        };
        let envelopes = numbered("mgmt") || numbered("tenants");
        let typed = TYPED.iter().any(|folder| files.has_folder(folder))
            || files
                .under("tenants")
                .any(|path| path.split('/').count() == 4 && is_json(path));
        if dumped && (envelopes || typed) {
            return unknown("it holds both a database dump and entities as JSON");
        }
        if envelopes {
            return Ok(Era::E);
        }
        if typed {
            return Ok(Era::D);
        }
        if dumped {
            return Ok(match metadata.schema_revision {
                Some(_) => Era::C,
                None => Era::B,
            });
        }
        if files.contains("es_data") || files.has_folder("es_data") {
            return Ok(Era::A);
        }
        unknown("metadata.json is there, and neither a database dump, entities nor es_data")
    }
}

/// Folders only 7.0.0 has.
const TYPED: [&str; 4] = [
    "mgmt/permissions",
    "mgmt/tenants",
    "mgmt/user_groups",
    "mgmt/users",
];

fn is_json(path: &str) -> bool {
    path.ends_with(".json")
}

/// Eight digits and `.json`.
pub(super) fn is_envelope(file: &str) -> bool {
    file.strip_suffix(".json")
        .is_some_and(|stem| stem.len() == 8 && stem.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
