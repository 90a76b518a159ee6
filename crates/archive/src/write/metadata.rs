use serde_json::{Map, Value};

use crate::manifest::{FORMAT, FORMAT_VERSION, MIN_READER};
use crate::{Refusal, Result};

/// What `metadata.json`, the first entry, holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Metadata {
    /// The format's own keys, and these. The entry counts as part of the archive, not of what
    /// was archived.
    Own(Map<String, Value>),
    /// Exactly these bytes, a JSON object: the metadata of a manager's snapshot.
    Verbatim(Vec<u8>),
}

impl Default for Metadata {
    fn default() -> Self {
        Metadata::Own(Map::new())
    }
}

impl Metadata {
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Metadata::Own(_))
    }

    pub(super) fn bytes(&self, snapshot_id: &str) -> Result<Vec<u8>> {
        match self {
            Metadata::Own(more) => {
                let mut all = Map::new();
                all.insert("format".to_owned(), FORMAT.into());
                all.insert("format_version".to_owned(), FORMAT_VERSION.into());
                all.insert("min_reader".to_owned(), MIN_READER.into());
                all.insert("snapshot_id".to_owned(), snapshot_id.into());
                all.extend(more.clone());
                Ok(serde_json::to_vec(&all).expect("plain data into memory"))
            }
            Metadata::Verbatim(bytes) => {
                let object: Result<Map<String, Value>, _> = serde_json::from_slice(bytes);
                object.map_err(|e| {
                    Refusal::BadDocument {
                        what: "metadata.json",
                        why: e.to_string(),
                    }
                    .bare()
                })?;
                Ok(bytes.clone())
            }
        }
    }
}
