//! Whom archives are sealed for, and what they are opened with.

use std::path::Path;
use std::sync::Arc;

use stillpoint_archive::{Archive, Identity, OpenOptions, Recipient, Strictness, WriteOptions};
use stillpoint_core::{Digest, Error, ErrorKind, Result};

use crate::failure::of_archive;

/// Keys. What is known of them is never written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) recipients: Vec<Arc<dyn Recipient>>,
    pub(crate) identities: Vec<Arc<dyn Identity>>,
    pub(crate) in_clear: bool,
}

impl Keys {
    /// The options, with whom secrets are sealed for.
    pub(crate) fn seal(&self, options: WriteOptions) -> WriteOptions {
        if self.in_clear {
            return options.danger_secrets_in_clear();
        }
        let recipients = self.recipients.iter().cloned();
        recipients.fold(options, WriteOptions::seal_for)
    }

    /// How archives are opened.
    pub(crate) fn options(&self) -> OpenOptions {
        let identities = self.identities.iter().cloned();
        identities.fold(OpenOptions::new(), OpenOptions::identity)
    }

    /// Opens an archive at a path, which must have this root; where it has none, leniently, since
    /// others made it. Blocks.
    pub(crate) fn open_same(
        &self,
        path: &Path,
        name: &str,
        root: Option<Digest>,
    ) -> Result<Archive> {
        let Some(root) = root else {
            let lenient = OpenOptions::new().strictness(Strictness::Lenient);
            return lenient.open(path).map_err(|error| of_archive(name, error));
        };
        let archive = self
            .options()
            .open(path)
            .map_err(|error| of_archive(name, error))?;
        match archive.root() {
            Some(found) if found.0 == *root.as_bytes() => Ok(archive),
            _ => {
                let message = format!("archive {name} is not the one that was planned with");
                Err(Error::new(ErrorKind::Conflict, message).advise("Plan again"))
            }
        }
    }
}
