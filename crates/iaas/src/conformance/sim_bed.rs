use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_core::{Digest, ResourceRef};

use super::bed::TestBed;
use crate::provider::Provider;
use crate::sim::{NewInstance, Personality, SimCloud};

/// The simulated cloud as a [`TestBed`], on virtual time.
#[derive(Clone, Debug)]
pub struct SimBed {
    cloud: SimCloud,
}

impl SimBed {
    /// A bed on an empty cloud.
    pub fn new(personality: Personality) -> Self {
        Self {
            cloud: SimCloud::new(personality),
        }
    }

    /// The cloud.
    pub fn cloud(&self) -> &SimCloud {
        &self.cloud
    }
}

fn described(name: &str, disks: &[(&str, u64)]) -> NewInstance {
    disks
        .iter()
        .fold(NewInstance::new(name), |new, (disk, size)| {
            new.disk(*disk, *size)
        })
}

#[async_trait]
impl TestBed for SimBed {
    async fn connect(&self) -> Arc<dyn Provider> {
        Arc::new(self.cloud.connect())
    }

    async fn restart(&self) -> Arc<dyn Provider> {
        Arc::new(self.cloud.restart())
    }

    async fn make_instance(&self, name: &str, disks: &[(&str, u64)]) -> ResourceRef {
        self.cloud.add_instance(described(name, disks))
    }

    async fn make_counting_instance(
        &self,
        name: &str,
        disks: &[(&str, u64)],
    ) -> Option<ResourceRef> {
        let counting = described(name, disks).writing(Duration::from_millis(10));
        Some(self.cloud.add_instance(counting))
    }

    async fn make_volume(&self, name: &str, size: u64) -> ResourceRef {
        self.cloud.add_volume(name, size)
    }

    async fn fill(&self, volume: &ResourceRef, seed: u64) {
        self.cloud.fill(volume, seed);
    }

    async fn power_off(&self, instance: &ResourceRef) {
        self.cloud.power_off(instance);
    }

    async fn digest(&self, of: &ResourceRef) -> Option<Digest> {
        Some(self.cloud.digest(of))
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Option<Vec<u8>> {
        Some(self.cloud.read(of, offset, length))
    }

    async fn inventory(&self) -> BTreeMap<ResourceRef, String> {
        let items = self.cloud.inventory().items.into_iter();
        items
            .map(|(resource, item)| (resource, item.to_string()))
            .collect()
    }

    async fn is_frozen(&self, instance: &ResourceRef) -> Option<bool> {
        Some(self.cloud.is_frozen(instance))
    }

    fn now(&self) -> Timestamp {
        self.cloud.now()
    }

    fn time_is_virtual(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn volume_size(&self) -> u64 {
        256 * 1024
    }

    fn namespace(&self) -> String {
        "kit".to_owned()
    }
}
