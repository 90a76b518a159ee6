use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint_core::{Error, ErrorKind, Memory, Resource, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{
    BoxStream, Capabilities, Filter, FreezeCapability, Identity, Limits, Observation, Operation,
    OperationKey, OperationKind, Provider, SnapshotCapability, Ticket, VolumeBytes,
};

use crate::create::copy_kind;
use crate::local::Local;
use crate::operations;

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
        Ok(Self {
            local: Arc::new(Local::open(name, folder.as_ref())?),
        })
    }

    /// Runs what waits for a disk where waiting hurts nobody.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Local>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let local = Arc::clone(&self.local);
        tokio::task::spawn_blocking(move || work(&local))
            .await
            .map_err(|source| {
                Error::new(ErrorKind::Internal, "a file operation did not end")
                    .leaving(stillpoint_core::World::Unknown)
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
            live: None,
            offline: true,
            memory: Memory::No,
            disk_selection: true,
            atomic_group: true,
            composite: true,
            copy: copy_kind(self.local.reflinks),
        };
        Ok(Capabilities {
            identity: Identity::Enforced,
            operations: BTreeSet::from([
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
            ]),
            snapshots: BTreeMap::from([
                (ResourceKind::Instance, snapshot),
                (ResourceKind::Volume, snapshot),
            ]),
            cancel: true,
            freeze: FreezeCapability::None,
            changed_blocks: false,
            limits: Limits {
                // More would only make one disk seek.
                at_once: 4,
                rate: None,
                call_timeout: Duration::from_secs(60),
            },
        })
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
        // What an earlier process had begun went when the folder was opened.
        self.local.jobs.stop(key);
        Ok(())
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        None
    }
}
