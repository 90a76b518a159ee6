use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::entry::Entry;

/// Rows are JSON: an operator can read them in any store, and fields may be added.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "a value cannot be written as JSON").because(source)
        })
}

pub(crate) fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T> {
    serde_json::from_slice(&entry.value).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            format!("what is stored under `{}` cannot be read", entry.key),
        )
        .advise("If a later version wrote it, use that; else put back a copy of the state")
        .because(source)
    })
}
