use std::fs::File;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::multipart::{MultipartStore, PartId};
use object_store::{ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};

use super::keys::{Keys, Receipt};
use super::records::{bad, failed};
use super::upload::{clear_records, read_part};
use super::{Depot, LARGEST_PART, Multipart};
use crate::{Error, Result};

/// Parts that are on their way at once.
const AT_ONCE: usize = 4;
/// Parts an S3 upload may have.
const MOST_PARTS: u64 = 10_000;

/// A multipart upload that was begun.
#[derive(Serialize, Deserialize)]
struct Started {
    multipart_id: String,
    part_size: u64,
}

/// A part the store has.
#[derive(Serialize, Deserialize)]
struct Part {
    content_id: String,
}

/// Why parts were not put and joined.
enum Cut {
    Failed(Error),
    /// The store knows nothing of the upload any more.
    Forgotten(Error),
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Cut::Failed(error)
    }
}

impl From<Cut> for Error {
    fn from(cut: Cut) -> Self {
        let (Cut::Failed(error) | Cut::Forgotten(error)) = cut;
        error
    }
}

/// Uploads in parts, or goes on with an upload that was begun.
pub(super) async fn in_parts(
    depot: &Depot,
    Multipart(multipart): &Multipart,
    keys: &Keys,
    file: Arc<File>,
    receipt: &Receipt,
) -> Result<()> {
    // Completed, and cut off before its receipt.
    if whole(depot, keys, receipt.size).await? {
        return Ok(());
    }
    let (started, mine) = start(depot, &**multipart, keys, receipt.size).await?;
    let cut = match finish(depot, &**multipart, keys, &file, receipt.size, &started).await {
        Err(Cut::Forgotten(cut)) => cut,
        finished => return Ok(finished?),
    };
    // Somebody joined this upload, and was quicker.
    let there = depot.record::<Receipt>(&keys.receipt()).await?;
    if there.as_ref() == Some(receipt) || whole(depot, keys, receipt.size).await? {
        return Ok(());
    }
    if mine {
        return Err(cut);
    }
    // The store forgot the upload, as it may after some days.
    clear_records(depot, keys).await?;
    let (started, _) = start(depot, &**multipart, keys, receipt.size).await?;
    Ok(finish(depot, &**multipart, keys, &file, receipt.size, &started).await?)
}

/// Begins an upload, or finds the one that was begun; and whether it is new.
async fn start(
    depot: &Depot,
    multipart: &dyn MultipartStore,
    keys: &Keys,
    size: u64,
) -> Result<(Started, bool)> {
    let key = keys.archive();
    let fail = || failed(&format!("uploading {key}"));
    if let Some(started) = begun(depot, keys, size).await? {
        return Ok((started, false));
    }
    let started = Started {
        multipart_id: multipart.create_multipart(&key).await.map_err(fail())?,
        part_size: (depot.part as u64).max(size.div_ceil(MOST_PARTS)),
    };
    let put = depot.put_new(&keys.started(), &started).await;
    if matches!(put, Ok(true)) {
        return Ok((started, true));
    }
    let theirs = begun(depot, keys, size).await;
    // A retried request finds its own record.
    if matches!(&theirs, Ok(Some(it)) if it.multipart_id == started.multipart_id) {
        return Ok((started, true));
    }
    // No record is of this one, so nobody could end it later on.
    let aborted = abort(multipart, keys, &started).await;
    put?;
    aborted?;
    // Somebody uploads the same bytes at the same time: join them.
    let theirs = theirs?.ok_or_else(|| Error::NoSuchEntry(keys.id.clone()))?;
    Ok((theirs, false))
}

/// The record of an upload, if it is one that [`start`] could have written.
async fn begun(depot: &Depot, keys: &Keys, size: u64) -> Result<Option<Started>> {
    let key = keys.started();
    let started: Option<Started> = depot.record(&key).await?;
    let least = size.div_ceil(MOST_PARTS).max(1);
    let most = least.max(LARGEST_PART as u64);
    match started {
        Some(it) if !(least..=most).contains(&it.part_size) => {
            let size = it.part_size;
            let why = format!("parts of {size} bytes, which is not {least} to {most}");
            Err(bad(&key, why))
        }
        started => Ok(started),
    }
}

/// Puts the parts the store has not yet, and joins them.
async fn finish(
    depot: &Depot,
    multipart: &dyn MultipartStore,
    keys: &Keys,
    file: &Arc<File>,
    size: u64,
    started: &Started,
) -> Result<(), Cut> {
    let (key, id) = (&keys.archive(), &started.multipart_id);
    let cut = |e| {
        let forgotten = matches!(e, object_store::Error::NotFound { .. });
        let error = failed(&format!("uploading {key}"))(e);
        match forgotten {
            true => Cut::Forgotten(error),
            false => Cut::Failed(error),
        }
    };
    let put = |number: usize| async move {
        let record = keys.part(number);
        if let Some(Part { content_id }) = depot.record(&record).await? {
            return Ok::<_, Cut>(PartId { content_id });
        }
        let offset = number as u64 * started.part_size;
        let length = (size - offset).min(started.part_size) as usize;
        let payload = PutPayload::from(read_part(file, offset, length).await?);
        let part = multipart.put_part(key, id, number, payload).await;
        let part = part.map_err(cut)?;
        let content_id = part.content_id.clone();
        depot.put_new(&record, &Part { content_id }).await?;
        Ok(part)
    };
    let parts = size.div_ceil(started.part_size) as usize;
    let parts: Vec<PartId> = futures_util::stream::iter((0..parts).map(put))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    match multipart.complete_multipart(key, id, parts).await {
        Ok(_) => Ok(()),
        // It may have been completed, and only the answer was lost.
        Err(_) if whole(depot, keys, size).await? => Ok(()),
        Err(e) => Err(cut(e)),
    }
}

async fn whole(depot: &Depot, keys: &Keys, size: u64) -> Result<bool> {
    let key = keys.archive();
    match depot.store.head(&key).await {
        Ok(found) => Ok(found.size == size),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(failed(&format!("looking for {key}"))(e)),
    }
}

/// Ends an upload that is not to go on. Its record is what the next attempt knows it by, so that
/// may go only then.
pub(super) async fn abandon(depot: &Depot, keys: &Keys) -> Result<()> {
    let Some(Multipart(multipart)) = &depot.multipart else {
        return Ok(());
    };
    match depot.record::<Started>(&keys.started()).await? {
        Some(started) => abort(&**multipart, keys, &started).await,
        None => Ok(()),
    }
}

async fn abort(multipart: &dyn MultipartStore, keys: &Keys, started: &Started) -> Result<()> {
    let key = keys.archive();
    match multipart.abort_multipart(&key, &started.multipart_id).await {
        // Completed or aborted before: nothing is left of it.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        // So says the store in memory, whose requests fail for no other reason.
        Err(object_store::Error::Generic {
            store: "InMemory", ..
        }) => Ok(()),
        Err(e) => Err(failed(&format!("ending an upload of {key}"))(e)),
    }
}
