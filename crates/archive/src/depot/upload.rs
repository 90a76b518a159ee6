use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use object_store::buffered::BufWriter;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::keys::{ARCHIVE, Keys, Receipt};
use super::parts::in_parts;
use super::records::io_error;
use super::{Depot, blocking, transfer};
use crate::read::ReadAt as _;
use crate::{Digest, Error, OpenOptions, Refusal, Result, Strictness, Watch};

pub(super) async fn upload(depot: &Depot, keys: &Keys, path: &Path) -> Result<Receipt> {
    let (file, receipt) = {
        let (path, id) = (path.to_owned(), keys.id.clone());
        blocking(move || describe(&path, id)).await?
    };
    claim(depot, keys, &receipt).await?;
    match depot.record::<Receipt>(&keys.receipt()).await? {
        Some(there) if there == receipt => {}
        Some(_) => return Err(Refusal::HashMismatch.of(&*keys.id)),
        None => {
            match &depot.multipart {
                Some(multipart) => in_parts(depot, multipart, keys, file, &receipt).await?,
                None => at_once(depot, keys, file, receipt.size).await?,
            }
            let key = keys.archive();
            let (_, sha256) = transfer::verify(depot, &key, receipt.size, Watch::none()).await?;
            if sha256 != receipt.sha256 {
                return Err(Refusal::HashMismatch.of(&*keys.id));
            }
            depot.put_new(&keys.receipt(), &receipt).await?;
        }
    }
    // The archive counts, with or without these: another upload of it clears them, and so does its
    // deletion.
    let _ = clear_records(depot, keys).await;
    Ok(receipt)
}

/// Makes the id this archive's, or finds that it is already.
async fn claim(depot: &Depot, keys: &Keys, receipt: &Receipt) -> Result<()> {
    let key = keys.claim();
    let mut there: Option<Receipt> = depot.record(&key).await?;
    if there.is_none() {
        depot.put_new(&key, receipt).await?;
        // A store that ignores the condition says yes to this one too.
        if depot.put_new(&key, receipt).await? {
            // With it there, the next upload would not ask.
            depot.remove(&key).await?;
            return Err(Error::Unsupported(format!(
                "{key}: the store overwrites what it was told to put only if absent, so no id is \
                 safe in it; use one with conditional writes (S3's If-None-Match)"
            )));
        }
        there = depot.record(&key).await?;
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

pub(super) async fn read_part(file: &Arc<File>, offset: u64, length: usize) -> Result<Vec<u8>> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset)
            .map_err(Error::io("reading the archive"))?;
        Ok(bytes)
    })
    .await
}

pub(super) async fn clear_records(depot: &Depot, keys: &Keys) -> Result<()> {
    for key in depot.keys_below(&keys.upload()).await? {
        depot.remove(&key).await?;
    }
    Ok(())
}

async fn at_once(depot: &Depot, keys: &Keys, file: Arc<File>, size: u64) -> Result<()> {
    depot.sweep(keys, ARCHIVE).await?;
    let fail = |e: std::io::Error| Error::Io {
        what: format!("uploading {}", keys.archive()),
        // The writer's own conversion has no kinds.
        source: e
            .downcast::<object_store::Error>()
            .map_or_else(|e| e, io_error),
    };
    let mut writer = BufWriter::new(Arc::clone(&depot.store), keys.archive());
    let mut at = 0;
    while at < size {
        let length = (size - at).min(depot.part as u64) as usize;
        let bytes = read_part(&file, at, length).await?;
        writer.write_all(&bytes).await.map_err(fail)?;
        at += length as u64;
    }
    writer.shutdown().await.map_err(fail)
}
