//! What a component finds of itself in an archive.

use std::cell::RefCell;
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use stillpoint_archive::{Archive, ExtractOptions, Watch, extract};
use stillpoint_core::Result;

use crate::failure::of_archive;
use crate::site::Site;

/// An archive that was verified, seen by one component.
pub struct Stage<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) component: &'a str,
    pub(crate) site: &'a Site,
    pub(crate) about: &'a Value,
    pub(crate) tenants: Option<&'a [String]>,
    pub(crate) unplaced: RefCell<Vec<String>>,
}

impl Stage<'_> {
    /// Where the component works for this job.
    pub fn site(&self) -> &Site {
        self.site
    }

    /// What [`describe`](crate::Component::describe) said when the archive was made.
    pub fn about(&self) -> &Value {
        self.about
    }

    /// Only these tenants; none: all.
    pub fn tenants(&self) -> Option<&[String]> {
        self.tenants
    }

    /// The whole archive, with the members of all components.
    pub fn archive(&self) -> &Archive {
        self.archive
    }

    /// Whether the component has such a member.
    pub fn has(&self, name: &str) -> bool {
        self.archive.entry(&self.path(name)).is_some()
    }

    /// Streams a member.
    ///
    /// # Errors
    /// Those of the archive, also from the reader.
    pub fn reader(&self, name: &str) -> Result<impl Read + use<>> {
        self.member(&self.path(name))
    }

    /// Streams a member of the whole archive, by its path there.
    ///
    /// # Errors
    /// Those of the archive, also from the reader.
    pub fn member(&self, path: &str) -> Result<impl Read + use<>> {
        let reader = self.archive.reader(path);
        reader.map_err(|error| of_archive(self.component, error))
    }

    /// Reads a member whole, of at most so many bytes.
    ///
    /// # Errors
    /// Those of the archive.
    pub fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        self.archive
            .read_up_to(&self.path(name), limit)
            .map_err(|error| of_archive(self.component, error))
    }

    /// Extracts all members below this name to a folder that does not exist yet. Its name there is
    /// as in the archive, with the component's: `FOLDER/COMPONENT/NAME/…`.
    ///
    /// # Errors
    /// Those of the archive and the file system; then nothing is left.
    pub fn extract(&self, name: &str, folder: &Path) -> Result<()> {
        let below = format!("{}/", self.path(name));
        let options = ExtractOptions::new()
            .durable()
            .only(move |path| path.starts_with(&below));
        let watch = Watch::none().cancel(self.site.cancel());
        extract(self.archive, folder, &options, &watch)
            .map(drop)
            .map_err(|error| of_archive(self.component, error))
    }

    /// Notes an item of the archive that has no place here. The restore goes on, and ends as
    /// partially failed with all of these.
    pub fn unplaced(&self, item: impl Into<String>) {
        self.unplaced.borrow_mut().push(item.into());
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.component)
    }
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("component", &self.component)
            .field("archive", self.archive)
            .finish_non_exhaustive()
    }
}
