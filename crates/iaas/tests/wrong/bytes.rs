use async_trait::async_trait;
use bytes::Bytes;
use stillpoint_core::{Detail, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Extent, Provider, VolumeBytes};

use crate::flaw::Flaw;
use crate::provider::Wrong;

const SECTOR: u64 = 512;

#[async_trait]
impl VolumeBytes for Wrong {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        self.right_bytes().size(of).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        let of = self.read_instead(of).await?;
        let mut extents = self.right_bytes().extents(&of, from).await?;
        if self.has(Flaw::SkipsAnExtent) {
            extents.pop();
        }
        Ok(extents)
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        let of = self.read_instead(of).await?;
        let read = self.right_bytes().read(&of, offset, length).await?;
        if self.has(Flaw::PadsReads) {
            let mut padded = read.to_vec();
            padded.resize(length, 0);
            return Ok(padded.into());
        }
        Ok(read)
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        if self.has(Flaw::SwallowsWrites) && to.kind() == ResourceKind::Snapshot {
            return Ok(());
        }
        let offset = if self.has(Flaw::WritesToSectors) {
            offset / SECTOR * SECTOR
        } else {
            offset
        };
        self.right_bytes().write(to, offset, bytes).await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        self.right_bytes().flush(volume).await
    }
}

impl Wrong {
    fn right_bytes(&self) -> &dyn VolumeBytes {
        self.right().bytes().expect("a personality with bytes")
    }

    async fn read_instead(&self, of: &ResourceRef) -> Result<ResourceRef> {
        if !self.has(Flaw::ReadsLive) || of.kind() != ResourceKind::Snapshot {
            return Ok(of.clone());
        }
        match self.right().describe(of).await?.detail {
            Detail::Snapshot { of, .. } => Ok(of),
            _ => Ok(of.clone()),
        }
    }
}
