use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Metadata;
use crate::manifest::{Class, Profile};
use crate::seal::Recipient;
use crate::verify::Level as VerifyLevel;
use crate::{Limits, Watch};

/// How hard DEFLATE tries: 1 is fastest, 9 smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// 1 to 9; what is outside becomes the nearest of them.
    pub fn new(level: u8) -> Self {
        Level(level.clamp(1, 9))
    }

    pub(crate) fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl Default for Level {
    /// 6, which gives about the sizes that zlib's 6 does, or 1 % more; 4 % where samples show bytes
    /// that are spread so evenly that little repeats.
    fn default() -> Self {
        Level(6)
    }
}

/// How entries are packed. What is already packed is stored, whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Packing {
    /// DEFLATE, which every ZIP tool reads.
    Deflate(Level),
    /// Zstandard at a level of its own scale; Info-ZIP's unzip and Python before 3.14 cannot
    /// read it.
    #[cfg(feature = "zstd")]
    Zstd(i32),
}

impl Default for Packing {
    fn default() -> Self {
        Packing::Deflate(Level::default())
    }
}

/// How an archive is written.
///
/// ```
/// use stillpoint_archive::{Level, Packing, WriteOptions};
///
/// let options = WriteOptions::new().packing(Packing::Deflate(Level::new(1))).deterministic();
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct WriteOptions {
    pub(super) packing: Packing,
    pub(super) deterministic: bool,
    pub(super) workers: usize,
    pub(super) limits: Limits,
    pub(super) profile: Profile,
    pub(super) metadata: Metadata,
    pub(super) snapshot_id: Option<String>,
    pub(super) recipients: Vec<Arc<dyn Recipient>>,
    pub(super) read_back: VerifyLevel,
    pub(super) watch: Watch,
    pub(super) total: Option<u64>,
}

impl WriteOptions {
    /// The native profile, DEFLATE at level 6, a worker a core, read back in full.
    pub fn new() -> Self {
        WriteOptions {
            packing: Packing::default(),
            deterministic: false,
            workers: crate::pool::default_workers(),
            limits: Limits::default(),
            profile: Profile::Native,
            metadata: Metadata::default(),
            snapshot_id: None,
            recipients: Vec::new(),
            read_back: VerifyLevel::Full,
            watch: Watch::none(),
            total: None,
        }
    }

    /// Sets how entries are packed.
    #[must_use]
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Equal input gives equal bytes: no times, and a snapshot id of zeros unless one is set.
    /// Sealed entries take random salts all the same.
    #[must_use]
    pub fn deterministic(mut self) -> Self {
        self.deterministic = true;
        self
    }

    /// Sets how many threads pack. The archive is the same for any number.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Sets the limits that names, numbers and sizes must keep, so that a reader with the same
    /// limits will take the archive.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what `metadata.json` holds.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets the snapshot's id, which seals are bound to; random by default.
    #[must_use]
    pub fn snapshot_id(mut self, id: impl Into<String>) -> Self {
        self.snapshot_id = Some(id.into());
        self
    }

    /// Seals entries of class [`Class::Secret`] so that this recipient can open them. Any number
    /// of recipients may be named.
    #[must_use]
    pub fn seal_for(mut self, recipient: impl Recipient + 'static) -> Self {
        self.recipients.push(Arc::new(recipient));
        self
    }

    /// Writes the compat profile: secret entries stand in clear, for everyone who gets hold of
    /// the archive. For Cloudify's own restore, which reads nothing else.
    #[must_use]
    pub fn danger_secrets_in_clear(mut self) -> Self {
        self.profile = Profile::Compat;
        self
    }

    pub(crate) fn has_secrets_in_clear(&self) -> bool {
        self.profile == Profile::Compat
    }

    /// Sets how far a file is read back and checked before it gets its name: its structure alone;
    /// every byte of it, known to unpack to what went in (the default); or what is inside of its
    /// entries as well.
    #[must_use]
    pub fn read_back(mut self, level: VerifyLevel) -> Self {
        self.read_back = level;
        self
    }

    /// Watches and stops the work. `total` is how many bytes will be written, where known.
    #[must_use]
    pub fn watch(mut self, watch: Watch, total: Option<u64>) -> Self {
        self.watch = watch;
        self.total = total;
        self
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions::new()
    }
}

impl fmt::Debug for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteOptions")
            .field("packing", &self.packing)
            .field("deterministic", &self.deterministic)
            .field("workers", &self.workers)
            .field("profile", &self.profile)
            .field("recipients", &self.recipients)
            .finish_non_exhaustive()
    }
}

/// What is said of one entry besides its name and content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryOptions {
    pub(super) mode: Option<u32>,
    pub(super) modified: Option<SystemTime>,
    pub(super) class: Class,
    pub(super) component: Option<String>,
    pub(super) size: Option<u64>,
}

impl EntryOptions {
    /// Class internal, mode 0644 (0755 for directories), no time.
    pub fn new() -> Self {
        EntryOptions::default()
    }

    /// Sets the permission bits; others are refused.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets when it was modified; kept to two seconds, from 1980 to 2107.
    #[must_use]
    pub fn modified(mut self, time: SystemTime) -> Self {
        self.modified = Some(time);
        self
    }

    /// Sets how its content is to be kept.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Sets which part of the snapshot it belongs to.
    #[must_use]
    pub fn component(mut self, component: impl Into<String>) -> Self {
        self.component = Some(component.into());
        self
    }

    /// Promises how many bytes will come; another number is an error. Saves ZIP64 fields.
    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }
}
