//! The archives within reach: depots and keys by name, and how an archive is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stillpoint_archive::depot::Depot;
use stillpoint_archive::{Archive, Error as ArchiveError, Identity, OpenOptions, Recipient};
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_engine::Delivered;
use stillpoint_engine::background::blocking;

use crate::document::Document;
use crate::failure::of_archive;
use crate::place::{ArchiveRef, Shelf};

/// Depots, and keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vault {
    pub(crate) depots: BTreeMap<String, Registered>,
    pub(crate) recipients: BTreeMap<String, Arc<dyn Recipient>>,
    pub(crate) identities: Vec<Arc<dyn Identity>>,
}

/// A depot, and the folder in which archives wait on their way there and back.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) depot: Depot,
    pub(crate) staging: PathBuf,
}

/// What is known of an archive once it is open.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) document: Document,
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

impl Vault {
    /// Opens an archive where it is, and reads what it says of its snapshot.
    pub(crate) async fn look(&self, place: &ArchiveRef) -> Result<Seen> {
        match place {
            ArchiveRef::Depot { depot, id } => {
                let failed = |error| of_archive(place, error);
                let depot = &self.depot(depot)?.depot;
                let receipt = depot.receipt(id).await.map_err(failed)?;
                let remote = depot.open_with(id, self.options()).await.map_err(failed)?;
                let shown = place.clone();
                blocking(move || seen(remote.archive(), receipt.size, &shown)).await
            }
            ArchiveRef::File(path) => {
                let (vault, path, place) = (self.clone(), path.clone(), place.clone());
                blocking(move || {
                    let (archive, size) = vault.open(&path, &place)?;
                    seen(&archive, size, &place)
                })
                .await
            }
        }
    }

    /// Opens an archive at a path, which must have this root. Blocks.
    pub(crate) fn open_same(
        &self,
        path: &Path,
        place: &ArchiveRef,
        root: Digest,
    ) -> Result<Archive> {
        let (archive, _) = self.open(path, place)?;
        match archive.root() {
            Some(found) if found.0 == *root.as_bytes() => Ok(archive),
            _ => Err(changed(place)),
        }
    }

    /// Opens an archive that was just made, and reads what it says of its snapshot; not where it
    /// was sealed for others alone. Blocks.
    pub(crate) fn open_made(
        &self,
        path: &Path,
        place: &ArchiveRef,
    ) -> Result<(Archive, Option<Document>)> {
        let archive = match self.options().open(path) {
            Err(ArchiveError::KeyMismatch { .. }) => OpenOptions::new().open(path),
            opened => opened,
        };
        let archive = archive.map_err(|error| of_archive(place, error))?;
        let document = match archive.is_unlocked() {
            true => Some(Document::read(&archive, place)?),
            false => None,
        };
        Ok((archive, document))
    }

    /// What there is to say of an archive that was just made, and is at a path. Blocks.
    pub(crate) fn delivered(&self, path: &Path, place: &ArchiveRef) -> Result<Delivered> {
        let (archive, document) = self.open_made(path, place)?;
        let failed = |source| Error::io(format_args!("looking at {place}"), &source);
        let root = archive.root().ok_or_else(|| changed(place))?;
        Ok(Delivered {
            archive: place.to_string(),
            size: path.metadata().map_err(failed)?.len(),
            root: digest(root),
            digests: document.map(|it| it.digests()).unwrap_or_default(),
        })
    }

    fn open(&self, path: &Path, place: &ArchiveRef) -> Result<(Archive, u64)> {
        let failed = |source| Error::io(format_args!("opening {place}"), &source);
        let size = path.metadata().map_err(failed)?.len();
        let archive = self.options().open(path);
        Ok((archive.map_err(|error| of_archive(place, error))?, size))
    }

    /// The depot of that name.
    pub(crate) fn depot(&self, name: &str) -> Result<&Registered> {
        self.depots.get(name).ok_or_else(|| {
            let known = known(self.depots.keys());
            let message = format!("there is no depot `{name}`, known: {known}");
            Error::new(ErrorKind::NotFound, message)
                .advise("Register it with the builder, or correct the name")
        })
    }

    /// The recipient of that name.
    pub(crate) fn recipient(&self, name: &str) -> Result<Arc<dyn Recipient>> {
        self.recipients.get(name).cloned().ok_or_else(|| {
            let known = known(self.recipients.keys());
            let message = format!("there is no recipient `{name}`, known: {known}");
            Error::new(ErrorKind::NotFound, message)
                .advise("Register it with the builder, or correct the name")
        })
    }

    /// The folder in which archives for that shelf are made.
    pub(crate) fn staging(&self, shelf: &Shelf) -> Result<PathBuf> {
        Ok(match shelf {
            Shelf::Depot(depot) => self.depot(depot)?.staging.clone(),
            Shelf::Folder(folder) => folder.clone(),
        })
    }

    fn options(&self) -> OpenOptions {
        let identities = self.identities.iter().cloned();
        identities.fold(OpenOptions::new(), OpenOptions::identity)
    }
}

pub(crate) fn changed(place: &ArchiveRef) -> Error {
    let message = format!("{place}: it is not the archive that was planned with");
    Error::new(ErrorKind::Conflict, message).advise("Plan again, and look at what is there now")
}

/// The digest as the rest of the system has it.
pub(crate) fn digest(of: stillpoint_archive::Digest) -> Digest {
    Digest::new(of.0)
}

fn seen(archive: &Archive, size: u64, place: &ArchiveRef) -> Result<Seen> {
    let document = Document::read(archive, place)?;
    let root = archive
        .root()
        .expect("a document is read only where there is a manifest");
    Ok(Seen {
        document,
        size,
        root: digest(root),
    })
}

fn known<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
