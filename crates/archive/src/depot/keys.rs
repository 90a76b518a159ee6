use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Result};

/// What the archive is called in its folder.
pub(super) const ARCHIVE: &str = "archive.zip";

/// Proof that an archive is in the depot, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its id.
    pub id: String,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-256 of the archive's bytes.
    pub sha256: Digest,
    /// The manifest's root, if it has a manifest.
    pub root: Option<Digest>,
}

/// Where everything of one id is.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: String,
    folder: Path,
}

impl Keys {
    pub(super) fn new(prefix: &Path, id: &str) -> Result<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let fits = (1..=200).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('.');
        if !fits {
            return Err(Error::Unsupported(format!(
                "{id:?} is no id: up to 200 letters, digits, `-`, `_` and `.`, not first a dot"
            )));
        }
        Ok(Keys {
            id: id.to_owned(),
            folder: prefix.clone().join(id),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn archive(&self) -> Path {
        self.folder.clone().join(ARCHIVE)
    }

    pub(super) fn claim(&self) -> Path {
        self.folder.clone().join("claim.json")
    }

    pub(super) fn receipt(&self) -> Path {
        self.folder.clone().join("receipt.json")
    }

    pub(super) fn upload(&self) -> Path {
        self.folder.clone().join("upload")
    }

    /// The record of a multipart upload.
    pub(super) fn started(&self) -> Path {
        self.upload().join("started.json")
    }

    /// The record of a part that the store has.
    pub(super) fn part(&self, number: usize) -> Path {
        self.upload().join(format!("part-{number:05}.json"))
    }
}
