use std::io::Write as _;
use std::sync::{Arc, mpsc};
use std::thread;

use serde_json::Value;
use stillpoint_archive::{
    Class, EntryOptions, Error as ArchiveError, Metadata, Recipient, VerifyLevel, Watch,
    WriteOptions, Writer, create,
};
use stillpoint_core::{Digest, Error, ErrorKind, Part, Result, Snapshot};
use stillpoint_engine::background::{Failed, blocking};

use super::volume::{Piece, read_volume};
use super::{Task, bytes_of};
use crate::document::{DOCUMENT, Document};
use crate::failure::of_archive;
use crate::place::Shelf;
use crate::staging::{Entered, Staging};

/// Pieces of up to a MiB that wait between the provider and the archive.
const AHEAD: usize = 4;

impl Task {
    /// Writes the archive into the staging folder; one that is there is whole.
    pub(super) async fn pack(
        &self,
        shelf: &Shelf,
        snapshot: Snapshot,
        seal_for: &[String],
    ) -> Result<Value, Failed> {
        let staging = self.staging(shelf)?;
        let recipients: Result<Vec<_>> = seal_for
            .iter()
            .map(|name| self.bench.vault.recipient(name))
            .collect();
        let recipients = recipients?;
        // The folder is ours for as long as something is written there, or removed.
        let entered = Arc::new(self.enter(&staging).await?);
        let packed = self.pack_into(&staging, &entered, snapshot, recipients);
        match packed.await {
            Ok(()) => Ok(Value::Null),
            Err(error) => Err(self.give_up(&staging, error).await),
        }
    }

    async fn pack_into(
        &self,
        staging: &Staging,
        entered: &Arc<Entered>,
        snapshot: Snapshot,
        recipients: Vec<Arc<dyn Recipient>>,
    ) -> Result<()> {
        if staging.archive().exists() {
            return Ok(());
        }
        let (sender, pieces) = mpsc::sync_channel(AHEAD);
        let parts = snapshot.parts.clone();
        let (path, cancel) = (staging.archive(), self.line.stop().flag().into());
        let entered = Arc::clone(entered);
        let writing = move || {
            let _entered = entered;
            let sealed = !recipients.is_empty();
            let options = options(&snapshot, recipients, Watch::none().cancel(cancel));
            create(&path, &options, |writer| {
                write(writer, &snapshot, sealed, &pieces)
            })
            .map(drop)
            .map_err(|error| of_archive(&path.display(), error))
        };
        // A thread of its own: one of the runtime's, waiting for a provider that waits for its
        // time, would hold up a virtual clock for ever.
        let writer = thread::Builder::new().name("stillpoint-pack".to_owned());
        let writer = writer
            .spawn(writing)
            .map_err(|source| Error::io("starting a thread", &source))?;
        let read = self.read(&parts, sender).await;
        let written = blocking(move || match writer.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let written = written.await;
        // Of one that stopped the other only knows that it did.
        match (read, written) {
            (Err(read), Err(written)) if read.kind() == ErrorKind::Cancelled => Err(written),
            (read, written) => read.and(written),
        }
    }

    /// Sends all parts, one after the other.
    async fn read(&self, parts: &[Part], sender: mpsc::SyncSender<Piece>) -> Result<()> {
        let meter = self.line.meter(parts.iter().map(|part| part.size).sum());
        let mut base = 0;
        for part in parts {
            let provider = self.provider(part.snapshot.provider())?;
            let bytes = bytes_of(&**provider)?;
            read_volume(bytes, part, &sender, |at| {
                meter.reach(base + at);
                self.line.stop().check()
            })
            .await?;
            base += part.size;
        }
        Ok(())
    }
}

fn options(snapshot: &Snapshot, recipients: Vec<Arc<dyn Recipient>>, watch: Watch) -> WriteOptions {
    let mut metadata = serde_json::Map::new();
    metadata.insert("content".to_owned(), "stillpoint-snapshot".into());
    let options = WriteOptions::new()
        .deterministic()
        .snapshot_id(snapshot.id.to_string())
        .metadata(Metadata::Own(metadata))
        // The step after this one reads all of it.
        .read_back(VerifyLevel::Quick)
        .watch(watch, None);
    recipients.into_iter().fold(options, WriteOptions::seal_for)
}

fn write(
    writer: &mut Writer<'_>,
    snapshot: &Snapshot,
    sealed: bool,
    pieces: &mpsc::Receiver<Piece>,
) -> Result<(), ArchiveError> {
    let about = || {
        EntryOptions::new().class(if sealed {
            Class::Secret
        } else {
            Class::Internal
        })
    };
    // Names do not depend on digests; these come with the last byte of each volume.
    let names = Document::new(snapshot, &[]).volumes;
    let mut digests = Vec::new();
    for (name, part) in names.iter().zip(&snapshot.parts) {
        let digest = write_volume(writer, name, &about().size(part.size), pieces)?;
        digests.push(digest);
    }
    let document = Document::new(snapshot, &digests).to_bytes();
    writer.bytes(DOCUMENT, document, &about())
}

fn write_volume(
    writer: &mut Writer<'_>,
    name: &str,
    about: &EntryOptions,
    pieces: &mpsc::Receiver<Piece>,
) -> Result<Digest, ArchiveError> {
    let mut entry = writer.entry(name, about)?;
    loop {
        match pieces.recv() {
            Ok(Piece::Data(bytes)) => {
                entry
                    .write_all(&bytes)
                    .map_err(|source| ArchiveError::of_io("packing", source))?;
            }
            Ok(Piece::End(digest)) => {
                entry.finish()?;
                return Ok(digest);
            }
            Ok(Piece::Hole(length)) => entry.hole(length)?,
            // The reader failed, and says why.
            Err(_) => return Err(ArchiveError::Cancelled),
        }
    }
}
