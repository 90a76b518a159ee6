use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore};

use super::failed;
use crate::{Refusal, Result};

/// Bytes that are asked for at once of an archive that is read in full. A request has a time limit
/// for all it sends, so it may not be for all of an archive.
pub(super) const PIECE: u64 = 8 << 20;

/// Hands over part of an object that has this size, block by block as it comes.
pub(super) async fn blocks(
    store: &dyn ObjectStore,
    key: &Path,
    range: Range<u64>,
    size: u64,
    mut each: impl FnMut(Bytes),
) -> Result<()> {
    let fail = || failed(&format!("reading {key}"));
    let length = range.end - range.start;
    let options = GetOptions::new().with_range(Some(range));
    let found = store.get_opts(key, options).await.map_err(fail())?;
    let there = found.meta.size;
    if there != size {
        let why = format!("it is of an archive of {size} bytes, and {there} are there");
        return Err(bad_receipt(key, why));
    }
    let mut sent = found.into_stream();
    let mut left = Some(length);
    while let Some(block) = sent.next().await {
        let block = block.map_err(fail())?;
        left = left.and_then(|left| left.checked_sub(block.len() as u64));
        if left.is_none() {
            break;
        }
        each(block);
    }
    match left {
        Some(0) => Ok(()),
        _ => Err(bad_receipt(
            key,
            format!("the store did not send the {length} bytes of it that were asked for"),
        )),
    }
}

/// Part of an object that has this size, and nothing else.
pub(super) async fn piece(
    store: &dyn ObjectStore,
    key: &Path,
    range: Range<u64>,
    size: u64,
) -> Result<Bytes> {
    let mut held = BytesMut::with_capacity((range.end - range.start) as usize);
    let keep = |block: Bytes| held.extend_from_slice(&block);
    blocks(store, key, range, size, keep).await?;
    Ok(held.freeze())
}

/// What a store sends; none if that is more than this. It decides on the bytes that it sends, and
/// we on those we hold.
pub(super) async fn at_most(found: GetResult, most: u64) -> object_store::Result<Option<Bytes>> {
    let expected = found.range.end.saturating_sub(found.range.start);
    let mut held = BytesMut::with_capacity(expected.min(most) as usize);
    let mut blocks = found.into_stream();
    while let Some(block) = blocks.next().await {
        let block = block?;
        if (held.len() + block.len()) as u64 > most {
            return Ok(None);
        }
        held.extend_from_slice(&block);
    }
    Ok(Some(held.freeze()))
}

fn bad_receipt(key: &Path, why: String) -> crate::Error {
    let what = "the archive's receipt";
    Refusal::BadDocument { what, why }.of(key.as_ref())
}
