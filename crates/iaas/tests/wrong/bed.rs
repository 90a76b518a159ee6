use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_core::{Digest, ResourceRef};
use stillpoint_iaas::conformance::{SimBed, TestBed};
use stillpoint_iaas::sim::Personality;
use stillpoint_iaas::{OperationKey, Provider};

use crate::flaw::Flaw;
use crate::provider::Wrong;

/// A simulated cloud whose clients all have one flaw.
pub(crate) struct WrongBed {
    sim: SimBed,
    flaw: Flaw,
    marked: Marked,
}

/// The keys that a provider has written down, where it does so itself.
pub(crate) type Marked = Arc<Mutex<BTreeSet<OperationKey>>>;

impl WrongBed {
    pub(crate) fn new(personality: Personality, flaw: Flaw) -> Self {
        Self {
            sim: SimBed::new(personality),
            flaw,
            marked: Marked::default(),
        }
    }

    fn wrong(&self) -> Arc<dyn Provider> {
        let cloud = self.sim.cloud().clone();
        Arc::new(Wrong::new(cloud, self.flaw, self.marked.clone()))
    }
}

#[async_trait]
impl TestBed for WrongBed {
    async fn connect(&self) -> Arc<dyn Provider> {
        self.wrong()
    }

    async fn restart(&self) -> Arc<dyn Provider> {
        self.sim.cloud().crash();
        self.wrong()
    }

    async fn make_instance(&self, name: &str, disks: &[(&str, u64)]) -> ResourceRef {
        self.sim.make_instance(name, disks).await
    }

    async fn make_counting_instance(
        &self,
        name: &str,
        disks: &[(&str, u64)],
    ) -> Option<ResourceRef> {
        self.sim.make_counting_instance(name, disks).await
    }

    async fn make_volume(&self, name: &str, size: u64) -> ResourceRef {
        self.sim.make_volume(name, size).await
    }

    async fn fill(&self, volume: &ResourceRef, seed: u64) {
        self.sim.fill(volume, seed).await;
    }

    async fn power_off(&self, instance: &ResourceRef) {
        self.sim.power_off(instance).await;
    }

    async fn digest(&self, of: &ResourceRef) -> Option<Digest> {
        self.sim.digest(of).await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Option<Vec<u8>> {
        self.sim.read(of, offset, length).await
    }

    async fn inventory(&self) -> BTreeMap<ResourceRef, String> {
        self.sim.inventory().await
    }

    async fn is_frozen(&self, instance: &ResourceRef) -> Option<bool> {
        self.sim.is_frozen(instance).await
    }

    fn now(&self) -> Timestamp {
        self.sim.now()
    }

    fn time_is_virtual(&self) -> bool {
        self.sim.time_is_virtual()
    }

    fn patience(&self) -> Duration {
        self.sim.patience()
    }

    fn volume_size(&self) -> u64 {
        self.sim.volume_size()
    }

    fn namespace(&self) -> String {
        self.sim.namespace()
    }
}
