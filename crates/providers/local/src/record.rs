//! Records: JSON files with a version and a checksum, replaced as a whole.

use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use stillpoint_core::{Digest, Error, ErrorKind, Result};

use crate::failure::{corrupt, storage};
use crate::folder::{Area, Folder};

/// What is kept of one thing.
pub(crate) trait Record: DeserializeOwned + Serialize {
    /// Where records of its kind are.
    const AREA: Area;
    /// What to do about a damaged one.
    const REMEDY: &str;
}

const VERSION: u32 = 1;

/// No record comes near; a larger file is not one of ours.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Serialize)]
struct Sealed<'a> {
    version: u32,
    sha256: String,
    record: &'a RawValue,
}

#[derive(Deserialize)]
struct Opened {
    version: u32,
    sha256: String,
    record: Box<RawValue>,
}

pub(crate) fn file_name(id: &str) -> String {
    format!("{id}.json")
}

pub(crate) fn encode<R: Serialize>(record: &R) -> Result<Vec<u8>> {
    let internal =
        |source| Error::new(ErrorKind::Internal, "a record has no JSON form").because(source);
    let record = serde_json::value::to_raw_value(record).map_err(internal)?;
    let sealed = Sealed {
        version: VERSION,
        sha256: digest(VERSION, record.get()),
        record: &record,
    };
    let mut bytes = serde_json::to_vec(&sealed).map_err(internal)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a record from the bytes of its file; `path` is for the error only.
pub(crate) fn decode<R: Record>(bytes: &[u8], path: &Path) -> Result<R> {
    let damaged = |what: String| corrupt(path, what, R::REMEDY);
    let opened: Opened = serde_json::from_slice(bytes)
        .map_err(|source| damaged(format!("is cut or damaged: {source}")))?;
    if opened.sha256 != digest(opened.version, opened.record.get()) {
        return Err(damaged("does not match its checksum".to_owned()));
    }
    if opened.version != VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("`{}` is of version {}", path.display(), opened.version),
        )
        .advise("Use the newer Stillpoint that wrote it"));
    }
    serde_json::from_str(opened.record.get())
        .map_err(|source| damaged(format!("is not the record that belongs there: {source}")))
}

/// Covers the version too, so that a damaged one is not taken for a newer one.
fn digest(version: u32, text: &str) -> String {
    let hash = Sha256::new()
        .chain_update(version.to_le_bytes())
        .chain_update(text)
        .finalize();
    Digest::new(hash.into()).to_string()
}

impl Folder {
    /// The record of `id`; none where there is no such file.
    pub(crate) fn load<R: Record>(&self, id: &str) -> Result<Option<R>> {
        let name = file_name(id);
        if self.stat(R::AREA, &name)?.is_none() {
            return Ok(None);
        }
        let path = self.path(R::AREA, &name);
        let mut bytes = Vec::new();
        self.open_file(R::AREA, &name, false)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| storage("read", &path, source))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(corrupt(&path, "is too large for a record", R::REMEDY));
        }
        decode(&bytes, &path).map(Some)
    }

    /// Replaces the record of `id`, or makes it; durable on return.
    #[cfg_attr(feature = "failpoint", track_caller)]
    pub(crate) fn store<R: Record>(&self, id: &str, record: &R) -> Result<()> {
        // A key cannot start with a stop, so no operation's file has this name.
        let staged = format!(".{}.{id}", R::AREA as u8);
        let done = self.stage_bytes(&staged, &encode(record)?);
        let done = done
            .and_then(|()| self.rename((Area::Staged, &staged), (R::AREA, &file_name(id)), true));
        if let Err(error) = done {
            // The next open removes it too.
            let _ = self.remove(Area::Staged, &staged);
            return Err(error);
        }
        self.sync(R::AREA)
    }

    /// Removes the record of `id`, durably; one that is gone is a success.
    #[cfg_attr(feature = "failpoint", track_caller)]
    pub(crate) fn remove_record<R: Record>(&self, id: &str) -> Result<()> {
        self.remove(R::AREA, &file_name(id))?;
        self.sync(R::AREA)
    }

    /// The ids of all records of a kind, sorted.
    pub(crate) fn ids<R: Record>(&self) -> Result<Vec<String>> {
        Ok(self
            .names(R::AREA)?
            .iter()
            .filter_map(|name| name.strip_suffix(".json"))
            .map(str::to_owned)
            .collect())
    }
}
