use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use stillpoint_core::{Digest, ResourceRef};
use stillpoint_iaas::Provider;
use stillpoint_iaas::conformance::TestBed;
use stillpoint_openstack::{Builder, CloudConfig, Launch, Networks, OpenStack};

use crate::hand::{Hand, lab};
use crate::pool::Held;

/// The name of the provider in these tests.
pub(crate) const LAB: &str = "lab";

/// The lab's cloud. When it is dropped, the cloud is as it was.
pub(crate) struct Bed {
    pub(crate) hand: Arc<Hand>,
    before: Value,
    namespace: String,
    // Dropped last: then the project is free for another test.
    held: Held,
}

pub(crate) fn config(cloud: &str) -> CloudConfig {
    let clouds = std::fs::read_to_string(lab().join("clouds.yaml")).expect("the lab is up");
    CloudConfig::from_yaml(cloud, &clouds, None).expect("the lab's clouds.yaml")
}

pub(crate) fn provider_of(cloud: &str) -> OpenStack {
    named(config(cloud)).build().expect("a provider")
}

/// A provider of the lab, for a configuration.
pub(crate) fn named(config: CloudConfig) -> Builder {
    OpenStack::builder(LAB, config)
        .settle(Duration::from_secs(8))
        .launch(Launch::default().flavor("m1.zero").networks(Networks::None))
}

pub(crate) fn reference(text: &str) -> ResourceRef {
    format!("{LAB}/{text}").parse().expect("a name")
}

impl Bed {
    /// In a project of its own, as soon as one is free.
    pub(crate) fn new() -> Self {
        Self::on(Held::one())
    }

    /// While no other test has one.
    pub(crate) fn alone() -> Self {
        Self::on(Held::all())
    }

    fn on(held: Held) -> Self {
        let hand = Arc::clone(&held.first().hand);
        let before = hand.ask("inventory", json!([]));
        let namespace = format!("kit-{}", Timestamp::now().as_microsecond());
        Self {
            hand,
            before,
            namespace,
            held,
        }
    }

    /// By the name in the lab's `clouds.yaml`.
    pub(crate) fn cloud(&self) -> &str {
        &self.held.first().cloud
    }

    pub(crate) fn project(&self) -> &str {
        &self.held.first().name
    }

    pub(crate) fn provider(&self) -> OpenStack {
        provider_of(self.cloud())
    }

    pub(crate) fn items(&self) -> BTreeMap<String, String> {
        let items = self.hand.ask("inventory", json!([]));
        serde_json::from_value(items).expect("names and states")
    }

    /// An instance of two disks.
    pub(crate) async fn make_web(&self) -> ResourceRef {
        let size = self.volume_size();
        let disks = [("root", size), ("data", size)];
        self.make_instance(&self.namespace, &disks).await
    }

    /// Removes all that was not there when this was made.
    pub(crate) fn clean(&self) {
        let keep: Vec<_> = self.before.as_object().expect("names").keys().collect();
        let now = self.hand.ask("clean", json!([keep]));
        assert_eq!(now, self.before, "the cloud is not as it was");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let keep: Vec<_> = self.before.as_object().expect("names").keys().collect();
            if let Err(error) = self.hand.try_ask("clean", json!([keep])) {
                eprintln!("the cloud is not as it was: {error}");
            }
        } else {
            self.clean();
        }
    }
}

#[async_trait]
impl TestBed for Bed {
    async fn connect(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider())
    }

    async fn restart(&self) -> Arc<dyn Provider> {
        Arc::new(self.provider())
    }

    async fn make_instance(&self, name: &str, disks: &[(&str, u64)]) -> ResourceRef {
        let id = self.hand.id("instance", json!([name, disks]));
        reference(&format!("instance/{id}"))
    }

    async fn make_counting_instance(&self, _: &str, _: &[(&str, u64)]) -> Option<ResourceRef> {
        // The lab's guests run no system.
        None
    }

    async fn make_volume(&self, name: &str, size: u64) -> ResourceRef {
        let id = self.hand.id("volume", json!([name, size]));
        reference(&format!("volume/{id}"))
    }

    async fn fill(&self, volume: &ResourceRef, seed: u64) {
        let state = self.items().remove(&format!("volume/{}", volume.id()));
        // What a guest has open can't be written past it.
        if state.is_some_and(|state| state.contains(" available ")) {
            self.hand.ask("fill", json!([volume.id(), seed]));
        }
    }

    async fn power_off(&self, instance: &ResourceRef) {
        self.hand.ask("power_off", json!([instance.id()]));
    }

    async fn digest(&self, of: &ResourceRef) -> Option<Digest> {
        let kind = of.kind().to_string();
        let digest = self.hand.id("digest", json!([kind, of.id()]));
        Some(digest.parse().expect("a SHA-256"))
    }

    async fn read(&self, _: &ResourceRef, _: u64, _: usize) -> Option<Vec<u8>> {
        // A gigabyte is not held in memory for this; `digest` and the lab's own tests compare.
        None
    }

    async fn inventory(&self) -> BTreeMap<ResourceRef, String> {
        let items = self.items().into_iter();
        items
            .map(|(name, state)| (reference(&name), state))
            .collect()
    }

    async fn is_frozen(&self, _: &ResourceRef) -> Option<bool> {
        None
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn time_is_virtual(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }

    fn volume_size(&self) -> u64 {
        1 << 30
    }

    fn namespace(&self) -> String {
        self.namespace.clone()
    }
}
