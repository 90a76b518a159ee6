use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stillpoint_core::{ResourceRef, Result};

/// Ranged access to the bytes of volumes, snapshots and images; only volumes are written.
///
/// Offsets and lengths are in bytes. What lies outside every extent reads as zeros.
#[async_trait]
pub trait VolumeBytes: Send + Sync {
    /// Bytes of the volume, snapshot or image, as a disk.
    async fn size(&self, of: &ResourceRef) -> Result<u64>;

    /// The first extents with data at or after `from`, in order, without overlap; empty when
    /// there are none up to the end. One call returns as many as it likes, but at least one if
    /// there is one.
    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>>;

    /// Reads `length` bytes from `offset`, fewer only at the end.
    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes>;

    /// Writes into a volume that nothing else uses. Anything but a volume is refused.
    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()>;

    /// Returns once all that was written to the volume would survive a power loss.
    async fn flush(&self, volume: &ResourceRef) -> Result<()>;
}

/// A run of bytes that may hold data.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Extent {
    /// Where it starts.
    pub offset: u64,
    /// How long it is; never 0.
    pub length: u64,
}

impl Extent {
    /// Where it ends.
    pub const fn end(&self) -> u64 {
        self.offset + self.length
    }
}
