//! What a component finds of itself in an archive.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use stillpoint_archive::{Archive, Error as ArchiveError, ExtractOptions, Watch, extract};
use stillpoint_core::Result;
use stillpoint_engine::background::{Line, Meter};

use crate::failure::of_archive;
use crate::site::Site;

/// An archive that was verified, seen by one component.
pub struct Stage<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) component: &'a str,
    pub(crate) site: &'a Site,
    pub(crate) about: &'a Value,
    pub(crate) tenants: Option<&'a [String]>,
    pub(crate) unplaced: RefCell<Unplaced>,
    pub(crate) read: Arc<Gauge>,
}

/// Bytes of what is said to have no place that are kept: somebody is to read it.
const UNPLACED: usize = 1 << 20;

/// What had no place.
#[derive(Debug, Default)]
pub(crate) struct Unplaced {
    items: Vec<String>,
    bytes: usize,
    more: u64,
}

/// Tells how many bytes were read for a stage, whoever reads them.
#[derive(Debug)]
pub(crate) struct Gauge {
    meter: Meter,
    read: AtomicU64,
}

/// A member on its way, which counts and ends with its job.
struct Counted<R> {
    member: R,
    read: Arc<Gauge>,
    site: Site,
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
        let member = self.archive.reader(path);
        Ok(Counted {
            member: member.map_err(|error| of_archive(self.component, error))?,
            read: Arc::clone(&self.read),
            site: self.site.clone(),
        })
    }

    /// Reads a member whole, of at most so many bytes.
    ///
    /// # Errors
    /// Those of the archive.
    pub fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.archive.read_up_to(&self.path(name), limit);
        let bytes = bytes.map_err(|error| of_archive(self.component, error))?;
        self.read.add(bytes.len() as u64);
        Ok(bytes)
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
        let (read, before) = (Arc::clone(&self.read), AtomicU64::new(0));
        let watch = Watch::none()
            .cancel(self.site.cancel())
            .progress(move |it| {
                // Several threads tell of it, in any order.
                let before = before.fetch_max(it.bytes, Ordering::Relaxed);
                read.add(it.bytes.saturating_sub(before));
            });
        extract(self.archive, folder, &options, &watch)
            .map(drop)
            .map_err(|error| of_archive(self.component, error))
    }

    /// Notes an item of the archive that has no place here. The restore goes on, and ends as
    /// partially failed with these; past a MiB of them they are only counted.
    pub fn unplaced(&self, item: impl Into<String>) {
        self.unplaced.borrow_mut().add(item.into());
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.component)
    }
}

impl Unplaced {
    fn add(&mut self, item: String) {
        self.bytes = self.bytes.saturating_add(item.len());
        match self.bytes <= UNPLACED {
            true => self.items.push(item),
            false => self.more += 1,
        }
    }

    /// Each of them, and how many more there are.
    pub(crate) fn listed(mut self) -> Vec<String> {
        if self.more > 0 {
            self.items.push(format!("{} more items", self.more));
        }
        self.items
    }
}

impl Gauge {
    /// Of so many bytes in all.
    pub(crate) fn new(line: &Line, total: u64) -> Self {
        Self {
            meter: line.meter(total.max(1)),
            read: AtomicU64::new(0),
        }
    }

    fn add(&self, bytes: u64) {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.meter.reach(read);
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.site.check().is_err() {
            return Err(io::Error::other(ArchiveError::Cancelled));
        }
        let length = self.member.read(bytes)?;
        self.read.add(length as u64);
        Ok(length)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_is_kept_for_a_mib_and_then_counted() {
        let mut unplaced = Unplaced::default();
        for number in 0..UNPLACED / 1000 + 8 {
            unplaced.add(format!("{number:01000}"));
        }
        let listed = unplaced.listed();
        assert_eq!(listed.len(), UNPLACED / 1000 + 1);
        assert_eq!(listed.last().unwrap(), "8 more items");
    }
}
