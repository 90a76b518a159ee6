use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, ResourceRef, Result};
use stillpoint_iaas::{Extent, VolumeBytes, content_digest};

use super::{Task, bytes_of};

impl Task {
    /// Reads the new volume: it starts with the bytes of its part.
    pub(super) async fn validate(&self, size: u64, wanted: Digest) -> Result<Value> {
        let volume = self.volume()?;
        let bytes = Start {
            bytes: bytes_of(&**self.provider(volume.provider())?)?,
            size,
        };
        let meter = self.line.meter(size);
        let found = tokio::select! {
            found = content_digest(&bytes, volume, |seen| meter.reach(seen)) => found?,
            error = self.line.stop().asked() => return Err(error),
        };
        if found != wanted {
            let message = "its bytes are not those of the archive";
            return Err(Error::new(ErrorKind::Corrupt, message)
                .on(volume.clone())
                .advise("Check the storage below it before trying again"));
        }
        Ok(Value::Null)
    }
}

/// The first bytes of a volume, which may be larger: some providers have sizes of their own.
struct Start<'a> {
    bytes: &'a dyn VolumeBytes,
    size: u64,
}

#[async_trait]
impl VolumeBytes for Start<'_> {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        Ok(self.bytes.size(of).await?.min(self.size))
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        let extents = self.bytes.extents(of, from).await?;
        let within = extents
            .into_iter()
            .filter(|extent| extent.offset < self.size);
        let cut = within.map(|extent| Extent {
            offset: extent.offset,
            length: extent.length.min(self.size - extent.offset),
        });
        Ok(cut.collect())
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(length);
        self.bytes.read(of, offset, length.min(rest)).await
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        self.bytes.write(to, offset, bytes).await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        self.bytes.flush(volume).await
    }
}
