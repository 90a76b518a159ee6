//! Archives in object storage: a [`Depot`] uploads, lists, reads and deletes them.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::sync::Arc;
//!
//! use object_store::memory::InMemory;
//! use stillpoint_archive::depot::Depot;
//! use stillpoint_archive::{EntryOptions, WriteOptions, create};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("a.zip");
//! create(&path, &WriteOptions::new(), |writer| {
//!     writer.bytes("greeting.txt", "hello", &EntryOptions::new())
//! })?;
//!
//! let depot = Depot::multipart(Arc::new(InMemory::new()), "snapshots")?;
//! depot.upload("nightly-1", &path).await?;
//! // Only what is needed is fetched: the end of the archive, and the entry.
//! let remote = depot.open("nightly-1").await?;
//! assert_eq!(remote.read("greeting.txt").await?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is where
//!
//! Below `PREFIX/ID/`: `claim.json`, put first and only if absent, says which bytes the id is for;
//! `archive.zip` is the archive; `upload/` has the state of a multipart upload while it lasts; and
//! `receipt.json`, put last and only if absent, after the archive was read back and verified. An
//! archive without a receipt is not there: it is not listed, not opened, and an upload of the same
//! bytes takes over where the last one stopped. No id is ever given to other bytes.
//!
//! The store must be able to put an object only if it is absent: for S3, the conditional put. One
//! that overwrites all the same is found out by each upload, and refused. For S3, feature `s3` has
//! [`s3`], the client of a bucket; for a local folder there is [`Depot::folder`].
//!
//! Archives are read in pieces of 8 MiB, each by a request of its own, so that no time limit of a
//! store's client is for all of one. A process that is killed between the beginning of a multipart
//! upload and its record leaves one that only the store knows of: have the bucket drop those that
//! are some days old.

mod folder;
mod keys;
mod listing;
mod parts;
mod pieces;
mod records;
mod remote;
#[cfg(feature = "s3")]
mod s3;
mod transfer;
mod upload;

pub use keys::Receipt;
pub use listing::Listing;
pub use remote::RemoteArchive;
#[cfg(feature = "s3")]
pub use s3::s3;

use std::path::Path;
use std::sync::Arc;

use keys::Keys;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use records::{bad, failed};

use crate::{Error, OpenOptions, Refusal, Report, Result, Watch};

/// Archives below one prefix of an object store.
#[derive(Clone, Debug)]
pub struct Depot {
    store: Arc<dyn ObjectStore>,
    multipart: Option<Multipart>,
    prefix: object_store::path::Path,
    part: usize,
    /// The store, where it is a local folder that we opened.
    folder: Option<LocalFileSystem>,
}

/// Bytes of the largest part: several of them are in memory at once.
const LARGEST_PART: usize = 64 << 20;

#[derive(Clone)]
struct Multipart(Arc<dyn MultipartStore>);

impl std::fmt::Debug for Multipart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Multipart")
    }
}

impl Depot {
    /// In a store that uploads in parts, such as S3: an upload that was cut off goes on.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the prefix is no path.
    pub fn multipart(store: Arc<impl ObjectStore + MultipartStore>, prefix: &str) -> Result<Self> {
        let multipart = Some(Multipart(store.clone()));
        Depot::with(store, multipart, prefix)
    }

    /// In any store: an upload that was cut off begins again. For a local folder this leaves on the
    /// disk what a killed process had begun to write, and nothing is flushed unless the store is
    /// told to: use [`folder`](Self::folder).
    ///
    /// # Errors
    /// As [`multipart`](Self::multipart).
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Result<Self> {
        Depot::with(store, None, prefix)
    }

    fn with(
        store: Arc<dyn ObjectStore>,
        multipart: Option<Multipart>,
        prefix: &str,
    ) -> Result<Self> {
        let prefix = object_store::path::Path::parse(prefix)
            .map_err(|e| Error::Unsupported(format!("{prefix:?} is no prefix: {e}")))?;
        Ok(Depot {
            store,
            multipart,
            prefix,
            part: 8 << 20,
            folder: None,
        })
    }

    /// Sets how many bytes a part of an upload has, up to 64 MiB; S3 wants 5 MiB at least. 8 MiB by
    /// default, and more where there would be over 10,000 of them.
    #[must_use]
    pub fn part_size(mut self, bytes: usize) -> Self {
        self.part = bytes.clamp(1, LARGEST_PART);
        self
    }

    /// Uploads the archive at `path` as `id`: it counts once it was read back and verified. The
    /// same bytes under the same id again give the receipt that is there.
    ///
    /// # Errors
    /// [`Error::Exists`] if the id belongs to other bytes; [`Error::Refused`] if the file is no
    /// archive, or came back changed; [`Error::Io`] from the store: call again to go on.
    pub async fn upload(&self, id: &str, path: impl AsRef<Path>) -> Result<Receipt> {
        upload::upload(self, &self.keys(id)?, path.as_ref()).await
    }

    /// Downloads an archive, proven, to a path that must not exist yet.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] if there is none of that id; [`Error::Exists`];
    /// [`Error::Refused`] if it was changed; [`Error::Io`].
    pub async fn download(&self, id: &str, path: impl AsRef<Path>) -> Result<Receipt> {
        let receipt = self.receipt(id).await?;
        transfer::download(self, &self.keys(id)?, &receipt, path.as_ref()).await?;
        Ok(receipt)
    }

    /// Asks the store for next to nothing, and changes nothing: whether it is there, and lets
    /// itself be read.
    ///
    /// # Errors
    /// [`Error::Io`]: of the kind `PermissionDenied` if the store refuses these credentials, and
    /// `NotFound` if there is no such bucket.
    pub async fn check(&self) -> Result<()> {
        let keys = self.keys("check")?;
        match self.store.head(&keys.receipt()).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed("looking at the depot")(e)),
        }
        // Of an object, that it is absent and that its bucket is are one answer.
        let listed = self.store.list_with_delimiter(Some(keys.folder())).await;
        listed.map(drop).map_err(failed("listing the depot"))
    }

    /// The receipt of an archive.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] if there is none of that id; [`Error::Refused`] if it is none of
    /// that id's; [`Error::Io`].
    pub async fn receipt(&self, id: &str) -> Result<Receipt> {
        let key = self.keys(id)?.receipt();
        match self.record::<Receipt>(&key).await? {
            Some(receipt) if receipt.id == id => Ok(receipt),
            Some(other) => Err(bad(&key, format!("it is of {:?}", other.id))),
            None => Err(Error::NoSuchEntry(id.to_owned())),
        }
    }

    /// Deletes an archive, or what is left of one. From the first step on it is not there; a
    /// deletion that was cut off is finished by another. Nothing to delete is no error.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn delete(&self, id: &str) -> Result<()> {
        let keys = self.keys(id)?;
        parts::abandon(self, &keys).await?;
        let mut rest: Vec<_> = self.keys_below(&keys.upload()).await?;
        rest.insert(0, keys.receipt());
        rest.extend([keys.archive(), keys.claim()]);
        for key in rest {
            self.remove(&key).await?;
        }
        self.sweep(&keys, "").await
    }

    /// Opens an archive where it is. Fetches its receipt and its end (two requests; three where
    /// directory and manifest take more than 2 MiB); contents follow as they are asked for.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] if there is none of that id; else as
    /// [`OpenOptions::open_source`].
    pub async fn open(&self, id: &str) -> Result<RemoteArchive> {
        self.open_with(id, OpenOptions::new()).await
    }

    /// Opens an archive where it is, with these options: keys, limits.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(&self, id: &str, options: OpenOptions) -> Result<RemoteArchive> {
        let receipt = self.receipt(id).await?;
        remote::open(self, self.keys(id)?.archive(), &receipt, options).await
    }

    /// Verifies an archive in full as it streams past, and against its receipt.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] if there is none of that id; else as
    /// [`verify_stream`](crate::verify_stream).
    pub async fn verify(&self, id: &str) -> Result<Report> {
        let receipt = self.receipt(id).await?;
        let key = self.keys(id)?.archive();
        let (report, sha256) = transfer::verify(self, &key, receipt.size, Watch::none()).await?;
        match sha256 == receipt.sha256 {
            true => Ok(report),
            false => Err(Refusal::HashMismatch.of(id)),
        }
    }

    fn keys(&self, id: &str) -> Result<Keys> {
        Keys::new(&self.prefix, id)
    }
}

/// Waits for work that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
        Err(_) => Err(Error::Cancelled),
    }
}
