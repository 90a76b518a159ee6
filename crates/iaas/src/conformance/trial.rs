use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stillpoint_core::{CopyKind, Labels, Memory, ResourceKind, ResourceRef, Result};
use tokio::time::{Instant, sleep};

use super::bed::TestBed;
use super::breach::{Breach, ensure};
use crate::capabilities::{Capabilities, Identity};
use crate::key::{OperationKey, Ticket};
use crate::observation::Observation;
use crate::operation::{DiskOf, Operation, OperationKind, TakeSnapshot};
use crate::output::{Output, TakenSnapshot};
use crate::provider::Provider;

/// One rule being tried: a bed, a client on it, and short ways to ask.
pub(super) struct Trial<'a, B> {
    pub(super) bed: &'a B,
    /// None only between two clients.
    client: Option<Arc<dyn Provider>>,
    pub(super) can: Capabilities,
    last: AtomicU32,
}

impl<'a, B: TestBed> Trial<'a, B> {
    pub(super) async fn new(bed: &'a B) -> Result<Self, Breach> {
        let provider = bed.connect().await;
        let can = provider.capabilities().await?;
        Ok(Self {
            bed,
            client: Some(provider),
            can,
            last: AtomicU32::new(0),
        })
    }

    pub(super) fn provider(&self) -> &Arc<dyn Provider> {
        self.client.as_ref().expect("a client after a restart")
    }

    /// Kills the client and starts another one.
    pub(super) async fn restart(&mut self) {
        // Where one client shuts out all others, this one must not outlive its own death.
        self.client = None;
        self.client = Some(self.bed.restart().await);
    }

    /// A name that nothing has yet; fit to be a key.
    pub(super) fn name(&self) -> String {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.bed.namespace())
    }

    pub(super) fn key(&self) -> OperationKey {
        self.name().parse().expect("a namespace as documented")
    }

    /// A volume with bytes in it.
    pub(super) async fn volume(&self) -> ResourceRef {
        let volume = self
            .bed
            .make_volume(&self.name(), self.bed.volume_size())
            .await;
        self.bed.fill(&volume, 1).await;
        volume
    }

    /// A running instance with two disks, and their volumes.
    pub(super) async fn instance(&self) -> Result<(ResourceRef, Vec<ResourceRef>), Breach> {
        let size = self.bed.volume_size();
        let disks = [("root", size), ("data", size)];
        let instance = self.bed.make_instance(&self.name(), &disks).await;
        let volumes = self.volumes_of(&instance).await?;
        ensure!(volumes.len() == 2, "{instance} has {volumes:?} for 2 disks");
        Ok((instance, volumes))
    }

    pub(super) async fn volumes_of(
        &self,
        instance: &ResourceRef,
    ) -> Result<Vec<ResourceRef>, Breach> {
        match self.provider().describe(instance).await?.detail {
            stillpoint_core::Detail::Instance { disks, .. } => {
                Ok(disks.into_iter().filter_map(|disk| disk.volume).collect())
            }
            other => Err(Breach::new(format!("{instance} is described as {other:?}"))),
        }
    }

    pub(super) fn create_volume(&self) -> Operation {
        Operation::CreateVolume {
            name: self.name(),
            labels: Labels::new(),
            size: self.bed.volume_size(),
            from: None,
        }
    }

    /// A snapshot of one volume, on its own account.
    pub(super) fn take_one(&self, volume: &ResourceRef) -> Operation {
        Operation::Snapshot(self.take(volume, std::slice::from_ref(volume)))
    }

    pub(super) fn take(&self, source: &ResourceRef, volumes: &[ResourceRef]) -> TakeSnapshot {
        let part = |volume: &ResourceRef| DiskOf {
            disk: volume.id().to_owned(),
            volume: volume.clone(),
        };
        let can = self.can.snapshots.get(&source.kind());
        TakeSnapshot {
            source: source.clone(),
            parts: volumes.iter().map(part).collect(),
            name: self.name(),
            labels: Labels::new(),
            group: false,
            quiesce: None,
            memory: Memory::No,
            copy: can.map_or(CopyKind::Full, |can| can.copy),
        }
    }

    /// Runs an operation to its end, which must be success.
    pub(super) async fn done(&self, operation: &Operation) -> Result<Output, Breach> {
        let key = self.key();
        let ticket = self.provider().submit(&key, operation).await?;
        self.done_as(&key, operation, Some(&ticket)).await
    }

    pub(super) async fn done_as(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Output, Breach> {
        match self.wait(key, operation, ticket).await? {
            Observation::Done { output, .. } => Ok(output),
            other => Err(Breach::new(format!("{operation} ended as {other:?}"))),
        }
    }

    pub(super) async fn created(&self, operation: &Operation) -> Result<ResourceRef, Breach> {
        match self.done(operation).await? {
            Output::Created(resource) => Ok(resource),
            other => Err(Breach::new(format!("{operation} brought {other:?}"))),
        }
    }

    pub(super) async fn taken(&self, operation: &Operation) -> Result<TakenSnapshot, Breach> {
        match self.done(operation).await? {
            Output::Snapshot(taken) => Ok(taken),
            other => Err(Breach::new(format!("{operation} brought {other:?}"))),
        }
    }

    /// The one snapshot of a volume that is taken now.
    pub(super) async fn snapshot_of(&self, volume: &ResourceRef) -> Result<ResourceRef, Breach> {
        let mut taken = self.taken(&self.take_one(volume)).await?;
        ensure!(
            taken.parts.len() == 1,
            "{} parts for one volume",
            taken.parts.len()
        );
        Ok(taken.parts.remove(0).snapshot)
    }

    /// Looks until the operation is over. Until the settle time is, absence is no end.
    pub(super) async fn wait(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation, Breach> {
        let began = Instant::now();
        loop {
            let seen = self.provider().observe(key, operation, ticket).await?;
            let wait = match &seen {
                Observation::Absent if began.elapsed() <= self.can.identity.settle() => {
                    Duration::from_secs(1)
                }
                Observation::Running { look_again_in, .. } => {
                    (*look_again_in).max(Duration::from_millis(1))
                }
                Observation::Unknown {
                    settles_at: Some(_),
                    ..
                } => Duration::from_secs(1),
                _ => return Ok(seen),
            };
            ensure!(
                began.elapsed() < self.bed.patience(),
                "{operation} is not over after {:?}: {seen:?}",
                self.bed.patience()
            );
            sleep(wait).await;
        }
    }

    pub(super) async fn inventory(&self) -> BTreeMap<ResourceRef, String> {
        self.bed.inventory().await
    }

    /// What exists and did not before.
    pub(super) async fn new_since(
        &self,
        before: &BTreeMap<ResourceRef, String>,
    ) -> BTreeSet<ResourceRef> {
        let now = self.inventory().await.into_keys();
        now.filter(|one| !before.contains_key(one)).collect()
    }

    /// Waits until no effect can show any more.
    pub(super) async fn settle(&self) {
        sleep(self.can.identity.settle() + Duration::from_secs(1)).await;
    }

    pub(super) async fn delete(&self, gone: &ResourceRef) -> Result<Output, Breach> {
        self.done(&delete(gone)).await
    }

    /// Whether the operation, on a volume, can be asked by its key alone.
    pub(super) fn answers_by_key(&self) -> bool {
        self.can.identity != Identity::TicketOnly
    }

    pub(super) fn lacks(&self, operations: &[OperationKind]) -> bool {
        operations.iter().any(|one| !self.can.can(*one))
    }
}

/// The operation that deletes this.
pub(super) fn delete(gone: &ResourceRef) -> Operation {
    let gone = gone.clone();
    match gone.kind() {
        ResourceKind::Image => Operation::DeleteImage { image: gone },
        ResourceKind::Instance => Operation::DeleteInstance { instance: gone },
        ResourceKind::Snapshot => Operation::DeleteSnapshot { snapshot: gone },
        _ => Operation::DeleteVolume { volume: gone },
    }
}
