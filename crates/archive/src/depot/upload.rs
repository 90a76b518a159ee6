use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::keys::{Keys, Receipt};
use super::{Depot, Multipart, blocking, failed, transfer};
use crate::read::ReadAt as _;
use crate::{Digest, Error, OpenOptions, Refusal, Result, Strictness, Watch};

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

pub(super) async fn upload(depot: &Depot, keys: &Keys, path: &Path) -> Result<Receipt> {
    let (file, receipt) = {
        let (path, id) = (path.to_owned(), keys.id.clone());
        blocking(move || describe(&path, id)).await?
    };
    claim(depot, keys, &receipt).await?;
    if let Some(there) = depot.document::<Receipt>(&keys.receipt()).await? {
        return Ok(there);
    }
    match &depot.multipart {
        Some(multipart) => in_parts(depot, multipart, keys, file, &receipt).await?,
        None => at_once(depot, keys, file, receipt.size).await?,
    }
    let (_, sha256) = transfer::verify(depot, &keys.archive(), Watch::none()).await?;
    if sha256 != receipt.sha256 {
        return Err(Refusal::HashMismatch.of(&*keys.id));
    }
    depot.put_new(&keys.receipt(), &receipt).await?;
    clear_records(depot, keys).await?;
    Ok(receipt)
}

/// Makes the id this archive's, or finds that it is already.
async fn claim(depot: &Depot, keys: &Keys, receipt: &Receipt) -> Result<()> {
    let key = keys.claim();
    let mut there: Option<Receipt> = depot.document(&key).await?;
    if there.is_none() {
        depot.put_new(&key, receipt).await?;
        // A store that ignores the condition says yes to this one too.
        if depot.put_new(&key, receipt).await? {
            return Err(Error::Unsupported(format!(
                "{key}: the store overwrites what it was told to put only if absent, so no id is \
                 safe in it; use one with conditional writes (S3's If-None-Match)"
            )));
        }
        there = depot.document(&key).await?;
    }
    match there.as_ref() == Some(receipt) {
        true => Ok(()),
        false => Err(Error::Exists(key.as_ref().into())),
    }
}

/// Opens the archive, checks its structure, and hashes its bytes.
fn describe(path: &Path, id: String) -> Result<(Arc<File>, Receipt)> {
    let fail = || Error::io(format!("reading {}", path.display()));
    let file = File::open(path).map_err(fail())?;
    let archive = OpenOptions::new()
        .strictness(Strictness::Lenient)
        .open_source(file.try_clone().map_err(fail())?)?;
    let size = file.size().map_err(fail())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < size {
        let n = (size - at).min(buffer.len() as u64) as usize;
        file.read_exact_at(&mut buffer[..n], at).map_err(fail())?;
        hasher.update(&buffer[..n]);
        at += n as u64;
    }
    let receipt = Receipt {
        id,
        size,
        sha256: Digest::finish(hasher),
        root: archive.root(),
    };
    Ok((Arc::new(file), receipt))
}

async fn read_part(file: &Arc<File>, offset: u64, length: usize) -> Result<Vec<u8>> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)
            .map_err(Error::io("reading the archive"))?;
        Ok(bytes)
    })
    .await
}

async fn in_parts(
    depot: &Depot,
    Multipart(multipart): &Multipart,
    keys: &Keys,
    file: Arc<File>,
    receipt: &Receipt,
) -> Result<()> {
    let key = keys.archive();
    // Completed, and cut off before its receipt.
    if whole(depot, &key, receipt.size).await? {
        return Ok(());
    }
    let (started, mine) = start(depot, &**multipart, keys, receipt.size).await?;
    match finish(depot, &**multipart, keys, &file, receipt.size, &started).await {
        // The store forgot the upload, as it may after some days.
        Err(object_store::Error::NotFound { .. }) if !mine => {
            clear_records(depot, keys).await?;
            let (started, _) = start(depot, &**multipart, keys, receipt.size).await?;
            finish(depot, &**multipart, keys, &file, receipt.size, &started).await
        }
        finished => finished,
    }
    .map_err(failed(&format!("uploading {key}")))
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
    if let Some(started) = depot.document(&keys.started()).await? {
        return Ok((started, false));
    }
    let started = Started {
        multipart_id: multipart.create_multipart(&key).await.map_err(fail())?,
        part_size: (depot.part as u64).max(size.div_ceil(MOST_PARTS)),
    };
    if depot.put_new(&keys.started(), &started).await? {
        return Ok((started, true));
    }
    // Somebody uploads the same bytes at the same time: join them.
    let theirs: Option<Started> = depot.document(&keys.started()).await?;
    let theirs = theirs.ok_or_else(|| Error::NoSuchEntry(keys.id.clone()))?;
    // A retried request finds its own record.
    if theirs.multipart_id != started.multipart_id {
        let mine = &started.multipart_id;
        multipart
            .abort_multipart(&key, mine)
            .await
            .map_err(fail())?;
    }
    Ok((theirs, false))
}

/// Puts the parts the store has not yet, and joins them.
async fn finish(
    depot: &Depot,
    multipart: &dyn MultipartStore,
    keys: &Keys,
    file: &Arc<File>,
    size: u64,
    started: &Started,
) -> object_store::Result<()> {
    let other = |e: Error| object_store::Error::Generic {
        store: "depot",
        source: Box::new(e),
    };
    let put = |number: usize| async move {
        let record = depot.document::<Part>(&keys.part(number)).await;
        if let Some(part) = record.map_err(other)? {
            return Ok::<_, object_store::Error>(PartId {
                content_id: part.content_id,
            });
        }
        let offset = number as u64 * started.part_size;
        let length = (size - offset).min(started.part_size) as usize;
        let payload = PutPayload::from(read_part(file, offset, length).await.map_err(other)?);
        let id = &started.multipart_id;
        let part = multipart
            .put_part(&keys.archive(), id, number, payload)
            .await?;
        let record = Part {
            content_id: part.content_id.clone(),
        };
        depot
            .put_new(&keys.part(number), &record)
            .await
            .map_err(other)?;
        Ok(part)
    };
    let parts = size.div_ceil(started.part_size) as usize;
    let parts: Vec<PartId> = futures_util::stream::iter((0..parts).map(put))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let (key, id) = (keys.archive(), &started.multipart_id);
    match multipart.complete_multipart(&key, id, parts).await {
        Ok(_) => Ok(()),
        // It may have been completed, and only the answer was lost.
        Err(_) if whole(depot, &key, size).await.map_err(other)? => Ok(()),
        Err(e) => Err(e),
    }
}

async fn clear_records(depot: &Depot, keys: &Keys) -> Result<()> {
    for key in depot.keys_below(&keys.upload()).await? {
        match depot.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(failed("tidying up")(e)),
        }
    }
    Ok(())
}

async fn whole(depot: &Depot, key: &object_store::path::Path, size: u64) -> Result<bool> {
    match depot.store.head(key).await {
        Ok(found) => Ok(found.size == size),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(failed(&format!("looking for {key}"))(e)),
    }
}

async fn at_once(depot: &Depot, keys: &Keys, file: Arc<File>, size: u64) -> Result<()> {
    let fail = || Error::io(format!("uploading {}", keys.archive()));
    let mut writer = BufWriter::new(Arc::clone(&depot.store), keys.archive());
    let mut at = 0;
    while at < size {
        let length = (size - at).min(depot.part as u64) as usize;
        let bytes = read_part(&file, at, length).await?;
        writer.write_all(&bytes).await.map_err(fail())?;
        at += length as u64;
    }
    writer.shutdown().await.map_err(fail())
}

/// Ends an upload that is not to go on.
pub(super) async fn abandon(depot: &Depot, keys: &Keys) -> Result<()> {
    let Some(Multipart(multipart)) = &depot.multipart else {
        return Ok(());
    };
    let Some(started) = depot.document::<Started>(&keys.started()).await? else {
        return Ok(());
    };
    match multipart
        .abort_multipart(&keys.archive(), &started.multipart_id)
        .await
    {
        // Completed or aborted before: nothing is left of it.
        Ok(())
        | Err(object_store::Error::NotFound { .. } | object_store::Error::Generic { .. }) => Ok(()),
        Err(e) => Err(failed("ending an upload")(e)),
    }
}
