//! What a component writes into an archive.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use stillpoint_archive::{Class, EntryOptions, Error as ArchiveError, TreeOptions, Writer};
use stillpoint_core::Result;

use crate::failure::of_archive;
use crate::site::Site;

/// The members of one component in an archive that is being written.
pub struct Dump<'a, 'w> {
    writer: &'a mut Writer<'w>,
    component: &'a str,
    site: &'a Site,
}

impl<'a, 'w> Dump<'a, 'w> {
    pub(crate) fn new(writer: &'a mut Writer<'w>, component: &'a str, site: &'a Site) -> Self {
        Self {
            writer,
            component,
            site,
        }
    }

    /// Where the component works for this job.
    pub fn site(&self) -> &Site {
        self.site
    }

    /// Adds a member with these bytes.
    ///
    /// # Errors
    /// Those of the archive.
    pub fn bytes(&mut self, name: &str, class: Class, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let (path, about) = (self.path(name), self.about(class));
        let written = self.writer.bytes(&path, bytes, &about);
        written.map_err(|error| of_archive(self.component, error))
    }

    /// Adds a member whose content is streamed: `fill` writes it.
    ///
    /// # Errors
    /// Those of `fill` and of the archive.
    pub fn stream(
        &mut self,
        name: &str,
        class: Class,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let (path, about, component) = (self.path(name), self.about(class), self.component);
        let failed = |error| of_archive(component, error);
        let site = self.site;
        let entry = self.writer.entry(&path, &about).map_err(failed)?;
        let mut member = Member { entry, site };
        fill(&mut member)?;
        member.entry.finish().map_err(failed)
    }

    /// Adds all files and directories of a folder below this name; what `skip` says yes to, by its
    /// path in the folder, is left out.
    ///
    /// # Errors
    /// Those of reading and of the archive.
    pub fn tree(
        &mut self,
        name: &str,
        folder: &Path,
        class: Class,
        skip: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let path = self.path(name);
        let below = format!("{path}/");
        let skip = |full: &str| full.strip_prefix(&below).is_some_and(skip);
        let classify = |_: &str| class;
        let options = TreeOptions::new()
            .classify(&classify)
            .component(self.component)
            .skip(&skip);
        let failed = |error| of_archive(self.component, error);
        self.writer
            .directory(&path, &self.about(Class::Internal))
            .map_err(failed)?;
        self.writer.tree(&path, folder, options).map_err(failed)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.component)
    }

    fn about(&self, class: Class) -> EntryOptions {
        EntryOptions::new().class(class).component(self.component)
    }
}

impl fmt::Debug for Dump<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dump")
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}

/// One member on its way; it is stopped with its job.
struct Member<'m, 'e, 'w> {
    entry: stillpoint_archive::EntryWriter<'e, 'w>,
    site: &'m Site,
}

impl Write for Member<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.site.check().is_err() {
            return Err(io::Error::other(ArchiveError::Cancelled));
        }
        self.entry.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.entry.flush()
    }
}
