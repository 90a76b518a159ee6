//! Access to the bytes of volumes, snapshots and images.

use std::fs::File;
use std::os::unix::fs::FileExt;

use async_trait::async_trait;
use bytes::Bytes;
use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Extent, VolumeBytes};

use crate::extents;
use crate::failure::storage;
use crate::folder::Area;
use crate::local::Local;
use crate::make;
use crate::provider::LocalProvider;
use crate::sessions;

/// Extents given at a time: enough to spare calls, few enough for a file of a million holes.
const EXTENTS: usize = 256;

#[async_trait]
impl VolumeBytes for LocalProvider {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        let of = of.clone();
        self.on_disk(move |local| Ok(open(local, &of)?.1)).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        let of = of.clone();
        self.on_disk(move |local| {
            let (file, size) = open(local, &of)?;
            let mut found = Vec::new();
            let mut at = from;
            while found.len() < EXTENTS
                && let Some(extent) = extents::next(&file, at, size)
                    .map_err(|source| read_failed(local, &of, source))?
            {
                at = extent.end();
                found.push(extent);
            }
            Ok(found)
        })
        .await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        let of = of.clone();
        self.on_disk(move |local| {
            let (file, size) = open(local, &of)?;
            let length = length.min(usize::try_from(size.saturating_sub(offset)).unwrap_or(length));
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, offset)
                .map_err(|source| read_failed(local, &of, source))?;
            Ok(bytes.into())
        })
        .await
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        let to = to.clone();
        self.on_disk(move |local| sessions::write(local, &to, offset, &bytes))
            .await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        let volume = volume.clone();
        self.on_disk(move |local| sessions::flush(local, &volume))
            .await
    }
}

fn open(local: &Local, of: &ResourceRef) -> Result<(File, u64)> {
    match of.kind() {
        ResourceKind::Volume => {
            let id = local.id(of, ResourceKind::Volume)?;
            let on = |error: Error| error.on(of.clone());
            let file = local.folder.open_file(Area::Top, id, false).map_err(on)?;
            let size = file
                .metadata()
                .map_err(|source| read_failed(local, of, source))?
                .len();
            Ok((file, size))
        }
        ResourceKind::Image | ResourceKind::Snapshot => {
            let bytes = make::Bytes::open(local, of)?;
            Ok((bytes.file, bytes.size))
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "only volumes, snapshots and images have bytes",
        )
        .on(of.clone())
        .advise("Name one of the instance's volumes")),
    }
}

fn read_failed(local: &Local, of: &ResourceRef, source: std::io::Error) -> Error {
    storage("read", &local.folder.path(Area::Top, of.id()), source).on(of.clone())
}
