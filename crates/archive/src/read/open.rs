use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::ahead::Ahead;
use super::archive::Inner;
use super::{Archive, EntryReader, ReadAt};
use crate::manifest::{self, FORMAT, MANIFEST, METADATA, OWN_MODE, SIGNATURE};
use crate::seal::{ArchiveKey, Identity, KEY_SUFFIX, KEYS, MOST_PASSPHRASES, PASSPHRASE};
use crate::zip::{Directory, End, Entry, LARGE, Locals, Method};
use crate::{Error, Limits, Refusal, Result};

/// How much a reader lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strictness {
    /// Also what real old writers made, as [`Forgivable`](crate::Forgivable) lists it; the reports say what
    /// was forgiven. Unsafe names and types, overlaps and duplicates are never.
    Lenient,
    /// What FORMAT.md allows.
    #[default]
    Strict,
}

/// When local headers are held against the central directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalHeaders {
    /// All of them, before anything else is believed.
    AtOnce,
    /// Each when its entry is read; for sources where a read is a round trip.
    OnRead,
}

/// How an archive is opened.
///
/// ```
/// use stillpoint_archive::{OpenOptions, Strictness};
///
/// let options = OpenOptions::new().strictness(Strictness::Lenient);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct OpenOptions {
    pub(super) limits: Limits,
    pub(super) strictness: Strictness,
    pub(super) identities: Vec<Arc<dyn Identity>>,
    pub(super) headers: LocalHeaders,
}

impl OpenOptions {
    /// Strict, with the default limits and no keys.
    pub fn new() -> Self {
        OpenOptions {
            limits: Limits::default(),
            strictness: Strictness::Strict,
            identities: Vec::new(),
            headers: LocalHeaders::AtOnce,
        }
    }

    /// Sets how much the reader lets pass.
    #[must_use]
    pub fn strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets how much the archive may ask for.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a key that may open sealed entries.
    #[must_use]
    pub fn identity(mut self, identity: impl Identity + 'static) -> Self {
        self.identities.push(Arc::new(identity));
        self
    }

    /// Checks each local header only when its entry is read. For sources where every read is a
    /// round trip: the end, the directory and the manifest are then all that opening reads. Between
    /// entries there is room for headers as our writer makes them, so foreign archives with extra
    /// fields in local headers are refused, leniently too.
    #[must_use]
    pub fn headers_on_read(mut self) -> Self {
        self.headers = LocalHeaders::OnRead;
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Refused`] if the archive breaks the format.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Archive> {
        let path = path.as_ref();
        let file = File::open(path).map_err(Error::io(format!("opening {}", path.display())))?;
        self.open_source(file)
    }

    /// Opens any source.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_source(&self, source: impl ReadAt + 'static) -> Result<Archive> {
        let source: Arc<dyn ReadAt> = Arc::new(source);
        let lenient = self.strictness == Strictness::Lenient;
        let directory = Directory::read(&*source, &self.limits, lenient)?;
        let inner = Inner {
            source,
            directory,
            manifest: None,
            limits: self.limits.clone(),
            lenient: lenient && self.headers == LocalHeaders::AtOnce,
            key: None,
            by_name: Default::default(),
        };
        let mut archive = Archive(Arc::new(inner));
        let (locals, manifest) = self.read_rest(&archive)?;
        let inner = Arc::get_mut(&mut archive.0).expect("not shared yet");
        inner.directory.set_locals(locals);
        inner.manifest = manifest;
        archive.check_paths()?;
        archive.check_opened()?;
        if !self.identities.is_empty() {
            self.unlock(&mut archive)?;
        }
        Ok(archive)
    }

    pub(crate) fn limits_ref(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.strictness == Strictness::Lenient
    }

    /// The local headers and the manifest, of large archives at the same time, and what is in the
    /// manifest while more of it is unpacked: each takes as long as the directory.
    fn read_rest(&self, archive: &Archive) -> Result<(Locals, Option<manifest::Reader>)> {
        let directory = &archive.0.directory;
        if self.headers == LocalHeaders::OnRead {
            directory.check_offsets()?;
            return Ok((Locals::default(), self.read_manifest(archive)?));
        }
        let locals = || directory.locals(&*archive.0.source, archive.0.lenient);
        if (directory.entries.len() as u64) < LARGE {
            return Ok((locals()?, self.read_manifest(archive)?));
        }
        thread::scope(|scope| {
            // Where there are no more threads, one does all of it.
            let checking = thread::Builder::new().spawn_scoped(scope, locals);
            let manifest = self.manifest_of(archive).and_then(|found| {
                let Some((text, entries)) = found else {
                    return Ok(None);
                };
                let (reading, text_ahead) = Ahead::new();
                match thread::Builder::new().spawn_scoped(scope, || reading.all_of(text)) {
                    Ok(_) => manifest::Reader::read(text_ahead, entries.iter()).map(Some),
                    Err(_) => self.read_manifest(archive),
                }
            });
            let locals = match checking {
                Ok(checking) => checking.join().expect("it does not panic"),
                Err(_) => locals(),
            };
            Ok((locals?, manifest?))
        })
    }

    fn read_manifest(&self, archive: &Archive) -> Result<Option<manifest::Reader>> {
        let Some((text, entries)) = self.manifest_of(archive)? else {
            return Ok(None);
        };
        let text = std::io::BufReader::with_capacity(256 << 10, text);
        manifest::Reader::read(text, entries.iter()).map(Some)
    }

    /// The manifest's text and the entries that it lists; none where there is none to be.
    fn manifest_of<'a>(&self, archive: &'a Archive) -> Result<Option<(EntryReader, &'a [Entry])>> {
        let entries = &archive.0.directory.entries;
        let listed = listed(entries, &archive.0.directory.end)?;
        let declared = listed.unwrap_or(0);
        for entry in &entries[declared..] {
            entry
                .check_ratio(&self.limits)
                .map_err(|reason| reason.of_at(&*entry.name, entry.offset))?;
        }
        let Some(listed) = listed else {
            refuse_a_lost_manifest(archive)?;
            return Ok(None);
        };
        let text = EntryReader::new(archive, listed)?;
        Ok(Some((text, &entries[..listed])))
    }

    fn unlock(&self, archive: &mut Archive) -> Result<()> {
        let Some(snapshot_id) = archive.snapshot_id().map(str::to_owned) else {
            return Ok(());
        };
        let ids: Vec<String> = archive.recipients().map(str::to_owned).collect();
        let dear = ids.iter().filter(|id| id.starts_with(PASSPHRASE)).count();
        if dear > MOST_PASSPHRASES {
            let limit = Refusal::Limit {
                what: "the number of passphrases",
                found: dear as u64,
                limit: MOST_PASSPHRASES as u64,
            };
            return Err(limit.bare());
        }
        for id in &ids {
            let wrapped = archive.read(&format!("{KEYS}{id}{KEY_SUFFIX}"))?;
            for identity in &self.identities {
                let key = identity.unwrap(id, &wrapped)?;
                let key = key.and_then(|key| ArchiveKey::unwrapped(&key, &snapshot_id));
                if let Some(key) = key {
                    let inner = Arc::get_mut(&mut archive.0).expect("not shared yet");
                    inner.key = Some(key);
                    return Ok(());
                }
            }
        }
        match ids.is_empty() {
            true => Ok(()),
            false => Err(Error::KeyMismatch {
                recipients: ids.join(", "),
            }),
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions::new()
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("limits", &self.limits)
            .field("strictness", &self.strictness)
            .field("identities", &self.identities)
            .finish_non_exhaustive()
    }
}

/// How many entries the manifest lists, which are all before it; `None` if there is none.
pub(crate) fn listed(entries: &[Entry], end: &End) -> Result<Option<usize>> {
    let Some(at) = entries.iter().position(|entry| &*entry.name == MANIFEST) else {
        return match entries.iter().find(|entry| &*entry.name == SIGNATURE) {
            Some(entry) => Err(
                Refusal::ManifestMismatch("a signature without a manifest".into())
                    .of_at(&*entry.name, entry.offset),
            ),
            None => Ok(None),
        };
    };
    match &entries[at + 1..] {
        [] => {}
        [signature] if &*signature.name == SIGNATURE => {}
        [after, ..] => {
            return Err(
                Refusal::ManifestMismatch("it comes after the manifest".into())
                    .of_at(&*after.name, after.offset),
            );
        }
    }
    let first = &entries[0];
    if &*first.name != METADATA || first.method != Method::Store {
        let why = "the first entry must be metadata.json, as it is".to_owned();
        return Err(Refusal::ManifestMismatch(why).of_at(&*first.name, first.offset));
    }
    if entries[at].coverage.is_none() {
        let why = "its directory record does not cover the archive".to_owned();
        return Err(Refusal::ManifestMismatch(why).of(MANIFEST));
    }
    // These fields mean nothing to a reader; a change in them is a change all the same.
    let changed = |what: &str| Refusal::ManifestMismatch(format!("{what} was changed"));
    if let Some(entry) = entries.iter().find(|entry| !entry.canonical) {
        return Err(changed("its directory record").of(&*entry.name));
    }
    // A manifest lists the mode of every entry but its own.
    if let Some(entry) = entries[at..].iter().find(|entry| entry.mode != OWN_MODE) {
        return Err(changed("its mode").of(&*entry.name));
    }
    match end.canonical {
        true => Ok(Some(at)),
        false => Err(changed("the end of the archive").bare()),
    }
}

/// An archive of this format whose manifest is gone is not a foreign one.
fn refuse_a_lost_manifest(archive: &Archive) -> Result<()> {
    let Some(first) = archive.0.directory.entries.first() else {
        return Ok(());
    };
    let small = first.size <= archive.0.limits.document;
    if &*first.name != METADATA || first.method != Method::Store || !small {
        return Ok(());
    }
    // Foreign metadata that cannot be read is reported by who needs it.
    let Ok(bytes) = archive.read(METADATA) else {
        return Ok(());
    };
    if claims_our_format(&bytes) {
        let why = "metadata.json says there is one, and there is none".to_owned();
        return Err(Refusal::ManifestMismatch(why).of(MANIFEST));
    }
    Ok(())
}

/// Whether metadata says that a manifest follows.
pub(crate) fn claims_our_format(metadata: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Format {
        format: Option<String>,
    }
    serde_json::from_slice::<Format>(metadata)
        .is_ok_and(|metadata| metadata.format.as_deref() == Some(FORMAT))
}
