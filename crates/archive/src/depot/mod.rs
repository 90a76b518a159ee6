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
//! that overwrites all the same is found out by the first upload, and refused. For S3, feature `s3`
//! has [`s3`], the client of a bucket.

mod keys;
mod remote;
#[cfg(feature = "s3")]
mod s3;
mod transfer;
mod upload;

pub use keys::Receipt;
pub use remote::RemoteArchive;
#[cfg(feature = "s3")]
pub use s3::s3;

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use keys::Keys;
use object_store::multipart::MultipartStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use crate::{Error, OpenOptions, Refusal, Report, Result, Watch};

/// Archives below one prefix of an object store.
#[derive(Clone, Debug)]
pub struct Depot {
    store: Arc<dyn ObjectStore>,
    multipart: Option<Multipart>,
    prefix: object_store::path::Path,
    part: usize,
}

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

    /// In any store, such as a local folder: an upload that was cut off begins again.
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
        })
    }

    /// Sets how many bytes a part of an upload has; S3 wants 5 MiB at least. 8 MiB by default,
    /// and more where there would be over 10,000 of them.
    #[must_use]
    pub fn part_size(mut self, bytes: usize) -> Self {
        self.part = bytes.max(1);
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

    /// All archives that are there, by id.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn list(&self) -> Result<Vec<Receipt>> {
        let folders = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let mut receipts = Vec::new();
        for folder in folders
            .map_err(failed("listing the depot"))?
            .common_prefixes
        {
            let Some(id) = folder.filename() else {
                continue;
            };
            match self.receipt(id).await {
                Ok(receipt) => receipts.push(receipt),
                // Not whole yet, or being deleted.
                Err(Error::NoSuchEntry(_)) => {}
                Err(error) => return Err(error),
            }
        }
        receipts.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(receipts)
    }

    /// The receipt of an archive.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`] if there is none of that id; [`Error::Io`].
    pub async fn receipt(&self, id: &str) -> Result<Receipt> {
        let key = self.keys(id)?.receipt();
        match self.document(&key).await? {
            Some(receipt) => Ok(receipt),
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
        upload::abandon(self, &keys).await?;
        let mut rest: Vec<_> = self.keys_below(&keys.upload()).await?;
        rest.insert(0, keys.receipt());
        rest.extend([keys.archive(), keys.claim()]);
        for key in rest {
            match self.store.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(failed(&format!("deleting {key}"))(e)),
            }
        }
        Ok(())
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
        let (report, sha256) = transfer::verify(self, &key, Watch::none()).await?;
        match sha256 == receipt.sha256 {
            true => Ok(report),
            false => Err(Refusal::HashMismatch.of(id)),
        }
    }

    fn keys(&self, id: &str) -> Result<Keys> {
        Keys::new(&self.prefix, id)
    }

    /// A JSON document; `None` if it is absent.
    async fn document<T: serde::de::DeserializeOwned>(
        &self,
        key: &object_store::path::Path,
    ) -> Result<Option<T>> {
        let bytes = match self.store.get(key).await {
            Ok(found) => found
                .bytes()
                .await
                .map_err(failed(&format!("reading {key}")))?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(failed(&format!("reading {key}"))(e)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            Refusal::BadDocument {
                what: "the depot's record",
                why: e.to_string(),
            }
            .of(key.as_ref())
        })
    }

    /// Puts a JSON document if it is absent; whether it was.
    async fn put_new(
        &self,
        key: &object_store::path::Path,
        document: &impl serde::Serialize,
    ) -> Result<bool> {
        let bytes = serde_json::to_vec(document).expect("plain data into memory");
        let payload = PutPayload::from(bytes);
        match self
            .store
            .put_opts(key, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(e) => Err(failed(&format!("putting {key}"))(e)),
        }
    }

    async fn keys_below(
        &self,
        prefix: &object_store::path::Path,
    ) -> Result<Vec<object_store::path::Path>> {
        let mut listed = self.store.list(Some(prefix));
        let mut keys = Vec::new();
        while let Some(object) = listed.next().await {
            keys.push(object.map_err(failed("listing the depot"))?.location);
        }
        Ok(keys)
    }
}

fn failed(what: &str) -> impl FnOnce(object_store::Error) -> Error + use<> {
    let what = what.to_owned();
    move |e| Error::Io {
        what,
        source: std::io::Error::other(e),
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
