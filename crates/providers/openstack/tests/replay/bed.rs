use std::time::Duration;

use serde_json::{Value, json};
use stillpoint_core::{CopyKind, Memory, ResourceRef, Result};
use stillpoint_iaas::{DiskOf, Observation, Operation, OperationKey, Provider, TakeSnapshot};
use stillpoint_openstack::{CloudConfig, OpenStack};

use crate::server::{Answer, Replay};

/// The project of the recordings.
pub(crate) const PROJECT: &str = "5cdca922bd1444189b8d52d53b670544";

pub(crate) const SECRET: &str = "not-to-be-seen";

pub(crate) fn config(url: &str) -> CloudConfig {
    let yaml = format!(
        "clouds: {{prod: {{auth: {{auth_url: '{url}', username: demo, password: {SECRET}, \
         project_name: demo}}}}}}"
    );
    CloudConfig::from_yaml("prod", &yaml, None).unwrap()
}

pub(crate) fn provider(replay: &Replay) -> OpenStack {
    let builder = OpenStack::builder("prod", config(&replay.url));
    builder.timeout(Duration::from_secs(10)).build().unwrap()
}

pub(crate) fn reference(text: &str) -> ResourceRef {
    format!("prod/{text}").parse().unwrap()
}

pub(crate) fn key() -> OperationKey {
    "job-1.take".parse().unwrap()
}

pub(crate) fn take(volume: &str) -> Operation {
    let volume = reference(&format!("volume/{volume}"));
    Operation::Snapshot(TakeSnapshot {
        source: volume.clone(),
        parts: vec![DiskOf {
            disk: "root".into(),
            volume,
        }],
        name: "before".into(),
        labels: [("purpose".to_owned(), "test".to_owned())].into(),
        group: false,
        quiesce: None,
        memory: Memory::No,
        copy: CopyKind::Shallow,
    })
}

pub(crate) fn on_volumes(path: &str) -> String {
    format!("/volume/v3/{PROJECT}{path}")
}

pub(crate) fn volume(id: &str, status: &str, servers: &[&str]) -> Value {
    let attachments = servers.iter().map(|id| json!({"server_id": id}));
    let attachments: Vec<_> = attachments.collect();
    json!({"id": id, "status": status, "size": 1, "name": "data", "attachments": attachments})
}

/// Answers for one volume, and plenty of quota.
pub(crate) fn with_volume(replay: &Replay, id: &str, status: &str, servers: &[&str]) {
    let body = json!({"volume": volume(id, status, servers)});
    replay.on(
        "GET",
        &on_volumes(&format!("/volumes/{id}")),
        Answer::new(200, body),
    );
    let limits = Answer::recorded("05-live-snapshots-quota-paging-tokens", 35);
    replay.on("GET", &on_volumes("/limits"), limits);
}

pub(crate) async fn submit(provider: &OpenStack, operation: &Operation) -> Result<String> {
    let ticket = provider.submit(&key(), operation).await?;
    Ok(ticket.as_str().to_owned())
}

pub(crate) async fn observe(provider: &OpenStack, operation: &Operation) -> Observation {
    provider.observe(&key(), operation, None).await.unwrap()
}
