use std::io;

use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode, PutPayload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Depot;
use super::pieces::at_most;
use crate::{Error, Refusal, Result};

/// Bytes of the longest record that is read: who can write to the store may mean harm.
const LONGEST: u64 = 64 << 10;

impl Depot {
    /// A record; `None` if it is absent.
    pub(super) async fn record<T: DeserializeOwned>(&self, key: &Path) -> Result<Option<T>> {
        let fail = || failed(&format!("reading {key}"));
        let found = match self.store.get(key).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(fail()(e)),
        };
        let bytes = at_most(found, LONGEST).await.map_err(fail())?;
        let bytes = bytes.ok_or_else(|| bad(key, format!("it has over {LONGEST} bytes")))?;
        let record = serde_json::from_slice(&bytes);
        record.map(Some).map_err(|e| bad(key, e.to_string()))
    }

    /// Puts a record if it is absent; whether it was.
    pub(super) async fn put_new(&self, key: &Path, record: &impl Serialize) -> Result<bool> {
        let bytes = serde_json::to_vec(record).expect("plain data into memory");
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

    /// Deletes an object. One that is gone is a success.
    pub(super) async fn remove(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed(&format!("deleting {key}"))(e)),
        }
    }

    pub(super) async fn keys_below(&self, prefix: &Path) -> Result<Vec<Path>> {
        let mut listed = self.store.list(Some(prefix));
        let mut keys = Vec::new();
        while let Some(object) = listed.next().await {
            keys.push(object.map_err(failed("listing the depot"))?.location);
        }
        Ok(keys)
    }
}

/// A record that nobody here has written.
pub(super) fn bad(key: &Path, why: String) -> Error {
    let what = "the depot's record";
    Refusal::BadDocument { what, why }.of(key.as_ref())
}

/// What the store said while this was done, of the kind that tells what a person has to mend from
/// what is over by itself.
pub(super) fn failed(what: &str) -> impl FnOnce(object_store::Error) -> Error + use<> {
    let what = what.to_owned();
    move |e| Error::Io {
        what,
        source: io_error(e),
    }
}

pub(super) fn io_error(error: object_store::Error) -> io::Error {
    use object_store::Error as Store;
    let kind = match &error {
        Store::NotFound { .. } => io::ErrorKind::NotFound,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        Store::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        Store::Generic { source, .. } => in_words(&source.to_string()),
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Of a listing that was refused the client for S3 gives the server's status in words alone.
fn in_words(text: &str) -> io::ErrorKind {
    let status = text.split_once("non-2xx status code: ");
    match status.and_then(|(_, status)| status.get(..3)) {
        Some("401" | "403") => io::ErrorKind::PermissionDenied,
        Some("404") => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    }
}
