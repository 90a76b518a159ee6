mod heads;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::batch::{Batch, Pending};
use super::jobs::{Done, Head, Job, Small, SmallContent, Worker};
use super::output::Output;
use super::sink::Sink;
use super::trail::Trail;
use super::{EntryOptions, EntryWriter, Packing, WriteOptions};
use crate::manifest::{Class, KEYS_MODE, MANIFEST, METADATA, Manifest, OWN, OWN_MODE};
use crate::name::Names;
use crate::pool::Pool;
use crate::seal::{ArchiveKey, KEY_SUFFIX, KEYS, fill};
use crate::zip::{Dos, Method};
use crate::{Digest, Error, Limits, Profile, Result, Watch};

/// Writes an archive, entry by entry, in the order they are added.
///
/// [`create`](super::create) is the way to a file; [`Writer::stream`] writes to anything.
pub struct Writer<'w> {
    output: Output<'w>,
    pool: Pool<Job, Done>,
    pending: VecDeque<Pending>,
    batch: Batch,
    names: Names,
    limits: Limits,
    packing: Packing,
    deterministic: bool,
    profile: Profile,
    snapshot_id: String,
    key: Option<ArchiveKey>,
    watch: Watch,
    entries: u64,
    components: Vec<Arc<str>>,
    /// An entry was begun and not ended.
    pub(super) spoilt: bool,
}

/// A whole archive, as its writer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Bytes of the archive.
    pub size: u64,
    /// The manifest's root.
    pub root: Digest,
    /// The snapshot's id.
    pub snapshot_id: String,
}

impl<'w> Writer<'w> {
    /// Writes to a stream, which never has to seek. Nothing is read back: that is the caller's,
    /// by [`verify_stream`](crate::verify_stream) or by opening the result.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn stream(stream: impl Write + Send + 'w, options: &WriteOptions) -> Result<Self> {
        Writer::start(Sink::stream(stream), options)
    }

    pub(super) fn file(file: File, options: &WriteOptions) -> Result<Self> {
        Writer::start(Sink::file(file)?, options)
    }

    fn start(sink: Sink<'w>, options: &WriteOptions) -> Result<Self> {
        let snapshot_id = match &options.snapshot_id {
            Some(id) => id.clone(),
            None if options.deterministic => "0".repeat(32),
            None => {
                let mut id = [0; 16];
                fill(&mut id)?;
                crate::digest::hex(&id)
            }
        };
        let packing = options.packing;
        let mut writer = Writer {
            output: Output::new(sink, Manifest::new(&snapshot_id, options.profile)),
            pool: Pool::new(options.workers, move || {
                let mut worker = Worker::new(packing);
                move |job| worker.run(job)
            }),
            pending: VecDeque::new(),
            batch: Batch::default(),
            names: Names::default(),
            limits: options.limits.clone(),
            packing,
            deterministic: options.deterministic,
            profile: options.profile,
            key: None,
            watch: options.watch.start(options.total),
            entries: 0,
            components: Vec::new(),
            spoilt: false,
            snapshot_id,
        };
        let own = options.metadata.is_own();
        let metadata = options.metadata.bytes(&writer.snapshot_id)?;
        let component = own.then(|| OWN.to_owned());
        let about = EntryOptions {
            component,
            ..EntryOptions::new()
        };
        writer.stored(METADATA, metadata, &about)?;
        writer.seal_for(options)?;
        Ok(writer)
    }

    /// Makes the archive's key and wraps it for each recipient.
    fn seal_for(&mut self, options: &WriteOptions) -> Result<()> {
        if options.recipients.is_empty() {
            return Ok(());
        }
        if options.profile == Profile::Compat {
            let why = "an archive with secrets in clear cannot be sealed for anyone; choose one";
            return Err(Error::Unsupported(why.to_owned()));
        }
        let key = ArchiveKey::random(&self.snapshot_id)?;
        let mut ids: Vec<String> = Vec::new();
        for recipient in &options.recipients {
            let mut id = recipient.id();
            let same = ids.iter().filter(|other| other.starts_with(&id)).count();
            if same > 0 {
                id = format!("{id}-{}", same + 1);
            }
            let wrapped = key.wrap(&**recipient)?;
            let about = EntryOptions::new().component(OWN).mode(KEYS_MODE);
            self.stored(&format!("{KEYS}{id}{KEY_SUFFIX}"), wrapped, &about)?;
            ids.push(id);
        }
        self.key = Some(key);
        Ok(())
    }

    /// Adds an entry with these bytes.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn bytes(
        &mut self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
        options: &EntryOptions,
    ) -> Result<()> {
        let bytes = bytes.into();
        if bytes.len() <= crate::chunk::CHUNK {
            let head = self.head(name, options)?;
            return self.small(Small {
                head,
                content: SmallContent::Bytes(bytes),
            });
        }
        let mut entry = self.entry(name, &options.clone().size(bytes.len() as u64))?;
        entry.write_all(&bytes).map_err(failed(name))?;
        entry.finish()
    }

    /// Adds an entry with all that `reader` gives.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn reader(
        &mut self,
        name: &str,
        mut reader: impl Read,
        options: &EntryOptions,
    ) -> Result<()> {
        let mut entry = self.entry(name, options)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return entry.finish(),
                Ok(n) => entry.write_all(&buffer[..n]).map_err(failed(name))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(name)(e)),
            }
        }
    }

    /// Begins an entry whose content is pushed: bytes, and holes.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn entry(&mut self, name: &str, options: &EntryOptions) -> Result<EntryWriter<'_, 'w>> {
        let head = self.head(name, options)?;
        Ok(EntryWriter::new(self, head, options.size))
    }

    /// Adds a directory; its name may end in `/`. Parents of entries are added by themselves, so
    /// this is for empty ones and for modes, and comes before what is inside.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn directory(&mut self, name: &str, options: &EntryOptions) -> Result<()> {
        let name = format!("{}/", name.strip_suffix('/').unwrap_or(name));
        let head = self.head(&name, options)?;
        self.push(Pending::Directory(head))
    }

    /// Ends the archive: the manifest, the central directory, the end.
    ///
    /// # Errors
    /// [`Error::Io`] from reading and writing; [`Error::Refused`] for a name or mode the format
    /// does not allow, or a limit; [`Error::Unsupported`] where secrets would stand in clear, or an
    /// entry was left unfinished; [`Error::Cancelled`].
    pub fn finish(self) -> Result<Finished> {
        self.end().map(|(finished, _)| finished)
    }

    /// Ends the archive; gives what a file is known by, too.
    pub(super) fn end(mut self) -> Result<(Finished, Option<Trail>)> {
        self.check_not_spoilt()?;
        self.parents(MANIFEST)?;
        self.settle_all()?;
        let (text, root) = self
            .output
            .manifest
            .take()
            .expect("taken only here")
            .finish();
        self.names.insert(MANIFEST)?;
        let head = Head {
            name: MANIFEST.to_owned(),
            mode: OWN_MODE,
            modified: Dos::EPOCH,
            class: Class::Internal,
            component: None,
            seal: None,
        };
        let mut entry = EntryWriter::new(&mut self, head, Some(text.len() as u64));
        entry.write_all(&text).map_err(failed(MANIFEST))?;
        entry.finish()?;
        self.settle_all()?;
        let (size, trail) = self.output.finish()?;
        let finished = Finished {
            size,
            root,
            snapshot_id: self.snapshot_id,
        };
        Ok((finished, trail))
    }

    fn stored(&mut self, name: &str, bytes: Vec<u8>, options: &EntryOptions) -> Result<()> {
        let head = self.head_of_own(name, options)?;
        self.small(Small {
            head,
            content: SmallContent::Stored(bytes),
        })
    }

    pub(super) fn small(&mut self, small: Small) -> Result<()> {
        match self.batch.add(small) {
            Some(full) => self.job(Job::Smalls(full)),
            None => Ok(()),
        }
    }

    /// Gives a job to the workers, once there is room for it.
    pub(super) fn job(&mut self, job: Job) -> Result<()> {
        self.watch.add(0)?;
        while self.pool.waiting() >= self.pool.window() {
            self.settle()?;
        }
        self.pool.push(job);
        self.pending.push_back(Pending::Job);
        Ok(())
    }

    /// Puts something behind what was added before.
    pub(super) fn push(&mut self, pending: Pending) -> Result<()> {
        let batch = self.batch.take();
        if !batch.is_empty() {
            self.job(Job::Smalls(batch))?;
        }
        self.pending.push_back(pending);
        Ok(())
    }

    fn settle_all(&mut self) -> Result<()> {
        let batch = self.batch.take();
        if !batch.is_empty() {
            self.job(Job::Smalls(batch))?;
        }
        while !self.pending.is_empty() {
            self.settle()?;
        }
        Ok(())
    }

    /// Writes the oldest of what waits.
    fn settle(&mut self) -> Result<()> {
        match self.pending.pop_front() {
            None => Ok(()),
            Some(Pending::Begin(head, method, size)) => self.output.begin(head, method, size),
            Some(Pending::Directory(head)) => self.output.directory(&head),
            Some(Pending::End(sha256)) => self.output.end(sha256),
            Some(Pending::Job) => match self.pool.pop().expect("one result a job") {
                Done::Chunk(chunk) => self.output.chunk(chunk?),
                Done::Smalls(smalls) => {
                    for small in smalls? {
                        self.watch.add(small.plain)?;
                        self.output.small(small)?;
                    }
                    Ok(())
                }
            },
        }
    }

    pub(super) fn can_patch(&self) -> bool {
        self.output.can_patch()
    }

    /// How large entries are packed.
    pub(super) fn method(&self) -> Method {
        match self.packing {
            Packing::Deflate(_) => Method::Deflate,
            #[cfg(feature = "zstd")]
            Packing::Zstd(_) => Method::Zstd,
        }
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    fn check_not_spoilt(&self) -> Result<()> {
        match self.spoilt {
            true => Err(Error::Unsupported(
                "an entry was begun and never finished".to_owned(),
            )),
            false => Ok(()),
        }
    }
}

fn failed(name: &str) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("adding {name}"))
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("entries", &self.entries)
            .field("snapshot_id", &self.snapshot_id)
            .finish_non_exhaustive()
    }
}
