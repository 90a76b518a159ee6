//! Short ways to ask a provider.

use std::time::Duration;

use stillpoint_core::{CopyKind, Labels, Memory, ResourceRef, Result};
use stillpoint_iaas::{
    DiskOf, Observation, Operation, OperationKey, Output, Provider, TakeSnapshot, TakenSnapshot,
    Ticket,
};

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn key(text: &str) -> OperationKey {
    text.parse().expect("a key")
}

/// A snapshot of these volumes of an instance, or of a volume.
pub(crate) fn snapshot(source: &ResourceRef, volumes: &[&ResourceRef]) -> TakeSnapshot {
    let part = |volume: &&ResourceRef| DiskOf {
        disk: volume.id().to_owned(),
        volume: (*volume).clone(),
    };
    TakeSnapshot {
        source: source.clone(),
        parts: volumes.iter().map(part).collect(),
        name: "before".to_owned(),
        labels: Labels::new(),
        group: false,
        quiesce: None,
        memory: Memory::No,
        copy: CopyKind::Shallow,
    }
}

pub(crate) fn new_volume(size: u64, from: Option<ResourceRef>) -> Operation {
    Operation::CreateVolume {
        name: "new".to_owned(),
        labels: Labels::new(),
        size,
        from,
    }
}

/// Submits, waits longer than any operation takes, and observes with the ticket.
pub(crate) async fn run(
    provider: &dyn Provider,
    name: &str,
    operation: &Operation,
) -> Result<Observation> {
    let ticket = submit(provider, name, operation).await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    provider.observe(&key(name), operation, Some(&ticket)).await
}

pub(crate) async fn submit(
    provider: &dyn Provider,
    name: &str,
    operation: &Operation,
) -> Result<Ticket> {
    provider.submit(&key(name), operation).await
}

pub(crate) fn output(observation: Observation) -> Output {
    match observation {
        Observation::Done { output, .. } => output,
        other => panic!("not done: {other:?}"),
    }
}

pub(crate) fn taken(observation: Observation) -> TakenSnapshot {
    match output(observation) {
        Output::Snapshot(taken) => taken,
        other => panic!("no snapshot: {other:?}"),
    }
}
