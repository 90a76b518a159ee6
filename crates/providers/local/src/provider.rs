use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint_core::{
    CopyKind, Disk, Error, ErrorKind, Memory, Resource, ResourceKind, ResourceRef, Result, World,
};
use stillpoint_iaas::{
    BoxStream, Capabilities, Filter, FreezeCapability, Identity, Limits, Observation, Operation,
    OperationKey, OperationKind, Outlook, Provider, SnapshotCapability, Ticket, VolumeBytes,
};

use crate::freezer::Freezer;
use crate::instance;
use crate::local::Local;
use crate::operations;

/// What it carries out with or without hooks.
const OPERATIONS: [OperationKind; 12] = [
    OperationKind::Attach,
    OperationKind::CreateImage,
    OperationKind::CreateInstance,
    OperationKind::CreateVolume,
    OperationKind::DeleteImage,
    OperationKind::DeleteInstance,
    OperationKind::DeleteSnapshot,
    OperationKind::DeleteVolume,
    OperationKind::Detach,
    OperationKind::Revert,
    OperationKind::SetLabels,
    OperationKind::Snapshot,
];

/// The files of a folder as volumes. See the [crate's documentation](crate).
///
/// Dropping it stops its copies, waits until they have stopped, and frees the folder.
#[derive(Debug)]
pub struct LocalProvider {
    local: Arc<Local>,
}

impl LocalProvider {
    /// Opens a folder under a provider name, which is the first word of its resources' names.
    ///
    /// Makes `.stillpoint/` in it where there is none. What an earlier process had decided there
    /// is finished, and what it had only begun is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Busy`] naming the process that has the folder open; [`ErrorKind::NotFound`]
    /// and [`ErrorKind::Permission`] naming what is missing or not allowed;
    /// [`ErrorKind::Invalid`] where the name is no provider name.
    pub fn open(name: &str, folder: impl AsRef<Path>) -> Result<Self> {
        Self::open_as(name, folder.as_ref(), None)
    }

    /// As [`open`](Self::open), with the hooks by which instances are frozen: their volumes can
    /// then be taken while something writes them.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_with_freezer(
        name: &str,
        folder: impl AsRef<Path>,
        freezer: Arc<dyn Freezer>,
    ) -> Result<Self> {
        Self::open_as(name, folder.as_ref(), Some(freezer))
    }

    fn open_as(name: &str, folder: &Path, freezer: Option<Arc<dyn Freezer>>) -> Result<Self> {
        Ok(Self {
            local: Arc::new(Local::open(name, folder, freezer)?),
        })
    }

    /// Says which disks an instance has: files do not tell what they belong to.
    ///
    /// Makes the instance, or brings it up to date and leaves its labels. A disk without a volume
    /// is ephemeral: it is listed, and no snapshot holds it. The sizes of volumes are their
    /// files', whatever is given.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where a volume is not there, [`ErrorKind::Precondition`] where it
    /// is on another instance, [`ErrorKind::Invalid`] where a name is no file name or given twice.
    pub async fn declare_instance(&self, name: &str, disks: &[Disk]) -> Result<ResourceRef> {
        let (name, disks) = (name.to_owned(), disks.to_vec());
        self.on_disk(move |local| instance::declare(local, &name, &disks))
            .await
    }

    /// Runs what waits for a disk where waiting hurts nobody.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Local>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let local = Arc::clone(&self.local);
        tokio::task::spawn_blocking(move || work(&local))
            .await
            .map_err(|source| {
                Error::new(ErrorKind::Internal, "a file operation did not end")
                    .leaving(World::Unknown)
                    .because(source)
            })?
    }
}

impl Drop for LocalProvider {
    fn drop(&mut self) {
        self.local.jobs.end();
    }
}

impl fmt::Display for LocalProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.local.name)
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn capabilities(&self) -> Result<Capabilities> {
        let snapshot = SnapshotCapability {
            live: self.local.freezes.consistency(),
            offline: true,
            memory: Memory::No,
            disk_selection: true,
            atomic_group: true,
            composite: true,
            copy: if self.local.reflinks {
                CopyKind::Shallow
            } else {
                CopyKind::Full
            },
        };
        let freezer = self.local.freezes.consistency().is_some();
        let mut operations = BTreeSet::from(OPERATIONS);
        if freezer {
            operations.extend([OperationKind::Freeze, OperationKind::Thaw]);
        }
        Ok(Capabilities {
            identity: Identity::Enforced,
            operations,
            snapshots: BTreeMap::from([
                (ResourceKind::Instance, snapshot),
                (ResourceKind::Volume, snapshot),
            ]),
            cancel: true,
            freeze: if freezer {
                FreezeCapability::SelfThawing
            } else {
                FreezeCapability::None
            },
            changed_blocks: false,
            limits: Limits {
                // More would only make one disk seek.
                at_once: 4,
                rate: None,
                call_timeout: Duration::from_secs(60),
            },
        })
    }

    async fn outlook(&self, _: &ResourceRef) -> Result<Outlook> {
        Ok(Outlook::default())
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let resource = resource.clone();
        self.on_disk(move |local| local.describe(&resource)).await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let filter = filter.clone();
        stream::once(self.on_disk(move |local| Ok(local.list(&filter))))
            .map_ok(stream::iter)
            .try_flatten()
            .boxed()
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        let (key, operation) = (key.clone(), operation.clone());
        self.on_disk(move |local| operations::submit(local, &key, &operation))
            .await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        _ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let (key, operation) = (key.clone(), operation.clone());
        self.on_disk(move |local| operations::observe(local, &key, &operation))
            .await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        _operation: &Operation,
        _ticket: Option<&Ticket>,
    ) -> Result<()> {
        let key = key.clone();
        self.on_disk(move |local| operations::cancel(local, &key))
            .await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        Some(self)
    }
}
