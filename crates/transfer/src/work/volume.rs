use std::sync::mpsc;

use bytes::Bytes;
use stillpoint_core::{Digest, Error, ErrorKind, Part, Result};
use stillpoint_engine::background::{blocking, stopped};
use stillpoint_iaas::{ContentDigester, VolumeBytes};

/// How much is read at a time.
const READ: usize = 1 << 20;

/// A piece of a volume, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes.
    Data(Bytes),
    /// The end, and the content digest of all before.
    End(Digest),
    /// So many zeros, which nobody read.
    Hole(u64),
}

/// Sends the extents of a part's snapshot and the holes between them, and holds what it read
/// against the digest that the catalogue has. `seen` is told how far it is, and may stop it.
pub(super) async fn read_volume(
    bytes: &dyn VolumeBytes,
    part: &Part,
    pieces: &mpsc::SyncSender<Piece>,
    mut seen: impl FnMut(u64) -> Result<()> + Send,
) -> Result<()> {
    let of = &part.snapshot;
    let size = bytes.size(of).await?;
    if size != part.size {
        return Err(changed(
            part,
            &format!("it has {size} bytes instead of {}", part.size),
        ));
    }
    let mut digester = ContentDigester::new(size);
    let mut at = 0;
    loop {
        let extents = bytes.extents(of, at).await?;
        if extents.is_empty() {
            break;
        }
        for extent in extents {
            let start = extent.offset.max(at);
            let end = extent.end().min(size);
            if start >= end {
                continue;
            }
            if start > at {
                send(pieces, Piece::Hole(start - at)).await?;
            }
            at = start;
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(READ).min(READ);
                let data = bytes.read(of, at, length).await?;
                if data.is_empty() {
                    return Err(changed(part, &format!("it ends at byte {at}")));
                }
                digester.update(at, &data);
                at += data.len() as u64;
                send(pieces, Piece::Data(data)).await?;
                seen(at)?;
            }
        }
        if at >= size {
            break;
        }
    }
    if at < size {
        send(pieces, Piece::Hole(size - at)).await?;
    }
    let digest = digester.finish();
    if part.digest.is_some_and(|known| known != digest) {
        return Err(changed(part, "its bytes are not those that were verified"));
    }
    send(pieces, Piece::End(digest)).await?;
    seen(size)
}

async fn send(pieces: &mpsc::SyncSender<Piece>, piece: Piece) -> Result<()> {
    let pieces = pieces.clone();
    // Who no longer takes any has failed, and says why.
    blocking(move || pieces.send(piece).map_err(|_| stopped())).await
}

fn changed(part: &Part, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("disk `{}`: {what}", part.disk))
        .on(part.snapshot.clone())
        .advise("Check the storage below it; take another snapshot and export that")
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use stillpoint_core::{CopyKind, ResourceRef};
    use stillpoint_iaas::Extent;

    use super::*;

    /// Nothing but zeros, so many.
    #[derive(Debug)]
    struct Zeros(u64);

    #[async_trait]
    impl VolumeBytes for Zeros {
        async fn size(&self, _: &ResourceRef) -> Result<u64> {
            Ok(self.0)
        }

        async fn extents(&self, _: &ResourceRef, _: u64) -> Result<Vec<Extent>> {
            Ok(Vec::new())
        }

        async fn read(&self, _: &ResourceRef, _: u64, _: usize) -> Result<Bytes> {
            Ok(Bytes::new())
        }

        async fn write(&self, _: &ResourceRef, _: u64, _: Bytes) -> Result<()> {
            Ok(())
        }

        async fn flush(&self, _: &ResourceRef) -> Result<()> {
            Ok(())
        }
    }

    /// One that was never verified has no digest that would tell.
    #[tokio::test]
    async fn a_part_whose_size_changed_is_refused() {
        let part = Part {
            disk: "root".to_owned(),
            volume: "here/volume/v-1".parse().unwrap(),
            snapshot: "here/snapshot/s-1".parse().unwrap(),
            size: 1 << 20,
            boot: true,
            copy: CopyKind::Full,
            digest: None,
        };
        for (size, changed) in [(1 << 19, true), (1 << 20, false), (1 << 21, true)] {
            let (pieces, taken) = mpsc::sync_channel(4);
            let read = read_volume(&Zeros(size), &part, &pieces, |_| Ok(())).await;
            assert_eq!(read.is_err(), changed, "{size}");
            if let Err(error) = read {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                assert!(taken.try_recv().is_err(), "something of it was packed");
            }
        }
    }
}
