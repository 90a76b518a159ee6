use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{EntryReader, EntryView, OpenOptions, ReadAt, ranges};
use crate::manifest::{self, OWN, Profile};
use crate::name::{self, Names};
use crate::seal::{ArchiveKey, KEY_SUFFIX, KEYS};
use crate::zip::{Directory, Forgiven};
use crate::{Digest, Error, Forgivable, Limits, Refusal, Result};

/// An open archive, every header and the manifest checked; contents are proven as they are read.
///
/// Clones are cheap and share the source.
#[derive(Clone)]
pub struct Archive(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) source: Arc<dyn ReadAt>,
    pub(crate) directory: Directory,
    pub(crate) manifest: Option<manifest::Reader>,
    pub(crate) limits: Limits,
    /// Whether a local header that is read by itself may be as real old writers made them: only
    /// where all are checked as well, and what was forgiven is reported.
    pub(crate) lenient: bool,
    pub(crate) key: Option<ArchiveKey>,
    /// Entries by name, made on first use.
    pub(super) by_name: OnceLock<Vec<u32>>,
}

impl Archive {
    /// Opens a file, strictly. See [`OpenOptions`] for more.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Refused`] if the archive breaks the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    /// What is left of an archive that passed by in a stream.
    pub(crate) fn passed(
        source: Arc<dyn ReadAt>,
        directory: Directory,
        manifest: Option<manifest::Reader>,
        limits: Limits,
    ) -> Self {
        let by_name = OnceLock::new();
        Archive(Arc::new(Inner {
            source,
            directory,
            manifest,
            limits,
            lenient: false,
            key: None,
            by_name,
        }))
    }

    /// All entries in archive order, the manifest included.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = EntryView<'_>> + DoubleEndedIterator {
        (0..self.0.directory.entries.len()).map(|index| self.view(index))
    }

    /// The entry of that name (or, for sealed ones, that path).
    pub fn entry(&self, name: &str) -> Option<EntryView<'_>> {
        self.find(name).map(|index| self.view(index))
    }

    /// Reads one entry whole and proves it; only then are bytes given.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`]; [`Error::Refused`] if the content is not what the archive says, or
    /// is larger than [`Limits::document`], for which [`reader`](Self::reader) is the way;
    /// [`Error::KeyMissing`].
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let index = self
            .find(name)
            .ok_or_else(|| Error::NoSuchEntry(name.to_owned()))?;
        self.read_index(index, self.0.limits.document)
    }

    /// Reads one entry of at most `limit` bytes whole, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_up_to(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let index = self
            .find(name)
            .ok_or_else(|| Error::NoSuchEntry(name.to_owned()))?;
        self.read_index(index, limit)
    }

    pub(crate) fn read_index(&self, index: usize, limit: u64) -> Result<Vec<u8>> {
        let view = self.view(index);
        if view.size() > limit {
            let what = "the size of an entry to read whole";
            return Err(Refusal::Limit {
                what,
                found: view.size(),
                limit,
            }
            .of(view.name()));
        }
        let mut bytes = Vec::with_capacity(view.size() as usize);
        let mut reader = EntryReader::new(self, index)?;
        std::io::Read::read_to_end(&mut reader, &mut bytes)
            .map_err(Error::io(format!("reading {}", view.name())))?;
        Ok(bytes)
    }

    /// Streams one entry. Bytes come before they are proven: the proof is the `Ok(0)` at the end,
    /// before which nothing must be relied on.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`]; [`Error::KeyMissing`]; [`Error::Refused`] if its header is wrong.
    pub fn reader(&self, name: &str) -> Result<EntryReader> {
        let index = self
            .find(name)
            .ok_or_else(|| Error::NoSuchEntry(name.to_owned()))?;
        EntryReader::new(self, index)
    }

    /// Reads part of an entry. Where it has chunks only those are read and checked: by the CRC-32
    /// the manifest records, which finds damage, and in sealed entries by authentication. Else it
    /// is read whole and proven. A range past the end is cut.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let index = self
            .find(name)
            .ok_or_else(|| Error::NoSuchEntry(name.to_owned()))?;
        ranges::read(self, index, range)
    }

    /// The snapshot's id, if there is a manifest.
    pub fn snapshot_id(&self) -> Option<&str> {
        self.0.manifest.as_ref().map(|m| &*m.snapshot_id)
    }

    /// What the writer promised about secrets, if there is a manifest.
    pub fn profile(&self) -> Option<Profile> {
        self.0.manifest.as_ref().map(|m| m.profile)
    }

    /// The version of the format, if there is a manifest.
    pub fn format_version(&self) -> Option<&str> {
        self.0.manifest.as_ref().map(|m| &*m.format_version)
    }

    /// The manifest's root: who knows it from elsewhere knows that nothing was changed.
    pub fn root(&self) -> Option<Digest> {
        self.0.manifest.as_ref().map(|m| m.root)
    }

    /// Who the archive is sealed for.
    pub fn recipients(&self) -> impl Iterator<Item = &str> {
        self.entries()
            .filter_map(|entry| entry.name().strip_prefix(KEYS)?.strip_suffix(KEY_SUFFIX))
    }

    /// How many entries are sealed.
    pub fn sealed(&self) -> usize {
        self.entries().filter(EntryView::is_sealed).count()
    }

    /// Whether sealed entries can be read: there are none, or a key opened them.
    pub fn is_unlocked(&self) -> bool {
        self.0.key.is_some() || self.sealed() == 0
    }

    /// What a lenient reader let pass, and how often.
    pub fn forgiven(&self) -> &BTreeMap<Forgivable, u64> {
        let forgiven: &Forgiven = &self.0.directory.forgiven;
        forgiven
    }

    /// What only an archive with a manifest must keep: folders have entries, and what a sealed
    /// entry opens to is no other entry.
    pub(crate) fn check_paths(&self) -> Result<()> {
        if self.root().is_none() {
            return Ok(());
        }
        if self.0.directory.implied > 0 {
            let why = format!("{} folders have no entry", self.0.directory.implied);
            return Err(Refusal::ManifestMismatch(why).bare());
        }
        if self.sealed() > 0 {
            let mut names = Names::default();
            for view in self.entries() {
                let fail = |reason: Refusal| reason.of_at(view.name(), view.entry.offset);
                name::check(view.path(), &self.0.limits).map_err(fail)?;
                names.insert(view.path())?;
            }
        }
        Ok(())
    }

    /// That what sealed entries open to is within the limits as well.
    pub(crate) fn check_opened(&self) -> Result<()> {
        let limits = &self.0.limits;
        let mut total = 0u64;
        for view in self.entries() {
            let over = |what, found, limit| {
                let limit = Refusal::Limit { what, found, limit };
                Err(limit.of_at(view.name(), view.entry.offset))
            };
            if view.size() > limits.entry {
                return over("the entry's size", view.size(), limits.entry);
            }
            total = total.saturating_add(view.size());
            if total > limits.total {
                return over("the total size", total, limits.total);
            }
        }
        Ok(())
    }

    /// Fails with [`Error::KeyMissing`] unless sealed entries can be read.
    pub(crate) fn need_key(&self) -> Result<()> {
        if self.is_unlocked() {
            return Ok(());
        }
        let recipients: Vec<_> = self.recipients().collect();
        Err(Error::KeyMissing {
            sealed: self.sealed(),
            recipients: recipients.join(", "),
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let by_name = self.0.by_name.get_or_init(|| {
            let mut by_name: Vec<u32> = (0..self.0.directory.entries.len() as u32).collect();
            by_name.sort_unstable_by_key(|index| self.view(*index as usize).path());
            by_name
        });
        let found = |name: &str| {
            let path = |index: &u32| self.view(*index as usize).path();
            let at = by_name.binary_search_by_key(&name, path).ok()?;
            Some(by_name[at] as usize)
        };
        found(name).or_else(|| {
            let sealed = name.strip_suffix(crate::seal::SUFFIX)?;
            found(sealed).filter(|index| self.view(*index).is_sealed())
        })
    }

    pub(crate) fn view(&self, index: usize) -> EntryView<'_> {
        let record = self.0.manifest.as_ref().and_then(|m| m.records.get(index));
        let component = match &self.0.manifest {
            Some(manifest) => match record {
                Some(record) => record
                    .component
                    .map(|component| &*manifest.components[usize::from(component)]),
                // The manifest itself, and its signature.
                None => Some(OWN),
            },
            None => None,
        };
        EntryView {
            entry: &self.0.directory.entries[index],
            record,
            component,
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("entries", &self.0.directory.entries.len())
            .field("snapshot_id", &self.snapshot_id())
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}
