use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, ResourceRef, Result};
use stillpoint_engine::background::blocking;
use stillpoint_iaas::VolumeBytes;

use super::entry::{Entry, Stretch};
use super::{Task, bytes_of};
use crate::document::Document;
use crate::place::ArchiveRef;

impl Task {
    /// Writes what is not zeros into a volume that is nothing but zeros. It is over well only
    /// when the archive has proven all that was written.
    pub(super) async fn fill(
        &self,
        archive: &ArchiveRef,
        root: Digest,
        part: usize,
    ) -> Result<Value> {
        let volume = self.volume()?;
        let bytes = bytes_of(&**self.provider(volume.provider())?)?;
        let path = self.path(archive)?;
        let (vault, place) = (self.bench.vault.clone(), archive.clone());
        let (entry, size) = blocking(move || {
            let archive = vault.open_same(&path, &place, root)?;
            let document = Document::read(&archive, &place)?;
            let missing = || Error::new(ErrorKind::Internal, format!("{place}: no part {part}"));
            let size = document.snapshot.parts.get(part).ok_or_else(missing)?.size;
            Ok((Entry::open(&archive, &document.volumes[part])?, size))
        })
        .await?;
        let meter = self.line.meter(size);
        let mut next = Some(read(entry).await?);
        while let Some((entry, stretch)) = next {
            self.line.stop().check()?;
            let last = stretch.is_last();
            let following = async move {
                match last {
                    true => Ok(None),
                    false => read(entry).await.map(Some),
                }
            };
            // One stretch is unpacked while the one before is written.
            let written = write(bytes, volume, &stretch);
            let (written, following) = tokio::join!(written, following);
            written?;
            meter.reach(stretch.end());
            next = following?;
        }
        bytes.flush(volume).await?;
        Ok(Value::Null)
    }
}

async fn read(mut entry: Entry) -> Result<(Entry, Stretch)> {
    blocking(move || {
        let stretch = entry.next()?;
        Ok((entry, stretch))
    })
    .await
}

async fn write(bytes: &dyn VolumeBytes, volume: &ResourceRef, stretch: &Stretch) -> Result<()> {
    for (offset, run) in stretch.runs() {
        bytes.write(volume, offset, run).await?;
    }
    Ok(())
}
