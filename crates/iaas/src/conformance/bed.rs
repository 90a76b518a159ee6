use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_core::{Digest, ResourceRef};

use crate::provider::Provider;

/// A system to try a provider on, and a way to it that is not the provider's own.
///
/// Each rule gets a bed of its own. What cannot be set up is a panic with the reason.
#[async_trait]
pub trait TestBed: Send + Sync {
    /// Starts a client.
    async fn connect(&self) -> Arc<dyn Provider>;

    /// Kills all clients as by `kill -9`, and starts one. The kit holds none when it calls this.
    async fn restart(&self) -> Arc<dyn Provider>;

    /// Makes a running instance with these disks (name, size in bytes), the boot disk first.
    async fn make_instance(&self, name: &str, disks: &[(&str, u64)]) -> ResourceRef;

    /// Makes an instance as [`make_instance`](Self::make_instance) whose guest writes one
    /// counter to the last 8 bytes of all its volumes at once, over and over, at least ten times
    /// in the time that one part of a snapshot takes; none where there are no such guests.
    async fn make_counting_instance(
        &self,
        name: &str,
        disks: &[(&str, u64)],
    ) -> Option<ResourceRef>;

    /// Makes a volume that is attached to nothing and reads as zeros.
    async fn make_volume(&self, name: &str, size: u64) -> ResourceRef;

    /// Writes bytes that follow from the seed into a volume, leaving holes.
    async fn fill(&self, volume: &ResourceRef, seed: u64);

    /// Powers an instance off, where that is a thing.
    async fn power_off(&self, instance: &ResourceRef);

    /// The content digest of a volume or snapshot; none where only the provider itself could
    /// read it.
    async fn digest(&self, of: &ResourceRef) -> Option<Digest>;

    /// Bytes of a volume or snapshot, as [`digest`](Self::digest).
    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Option<Vec<u8>>;

    /// All that exists, with its state in words: equal words mean an equal thing.
    async fn inventory(&self) -> BTreeMap<ResourceRef, String>;

    /// Whether an instance is frozen; none where nobody can tell.
    async fn is_frozen(&self, instance: &ResourceRef) -> Option<bool>;

    /// What time it is there.
    fn now(&self) -> Timestamp;

    /// Whether tokio's time is to be paused, so that waiting costs nothing.
    fn time_is_virtual(&self) -> bool;

    /// How long one operation may take.
    fn patience(&self) -> Duration;

    /// Bytes of the volumes that the rules make; at least 256 KiB.
    fn volume_size(&self) -> u64;

    /// What the rules' names and keys start with: different for each bed on a system that is
    /// shared. Of `a-z 0-9 -`, at most 40 bytes.
    fn namespace(&self) -> String;
}
