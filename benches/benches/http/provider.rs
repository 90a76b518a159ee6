//! A provider of that cloud, over as many connections as it may have calls at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use stillpoint::iaas::{
    BoxStream, Capabilities, FreezeCapability, Identity, Limits, Observation, Operation,
    OperationKey, OperationKind, Outlook, Output, Provider, SnapshotCapability, TakenPart,
    TakenSnapshot, Ticket, VolumeBytes,
};
use stillpoint::{
    Capture, Consistency, CopyKind, Detail, Error, ErrorKind, Memory, Resource, ResourceKind,
    ResourceRef, Result,
};
use tokio::sync::Semaphore;

/// Calls at once.
pub(crate) const AT_ONCE: u32 = 64;

pub(crate) struct Http {
    client: reqwest::Client,
    address: String,
    connections: Arc<Semaphore>,
}

impl Http {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            address: address.to_owned(),
            connections: Arc::new(Semaphore::new(AT_ONCE as usize)),
        }
    }

    /// What the server has counted; no call of its cloud.
    pub(crate) async fn stats(&self) -> Value {
        let reply = self.client.get(format!("http://{}/stats", self.address));
        let body = reply.send().await.expect("the server is there").bytes();
        serde_json::from_slice(&body.await.expect("a whole reply")).expect("it is JSON")
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Option<bytes::Bytes>> {
        self.call(self.client.get(format!("http://{}/{path}", self.address)))
            .await
    }

    async fn call(&self, call: reqwest::RequestBuilder) -> Result<Option<bytes::Bytes>> {
        let _connection = self.connections.acquire().await.map_err(lost)?;
        let reply = call.send().await.map_err(lost)?;
        if reply.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let reply = reply.error_for_status().map_err(lost)?;
        Ok(Some(reply.bytes().await.map_err(lost)?))
    }
}

#[async_trait]
impl Provider for Http {
    async fn capabilities(&self) -> Result<Capabilities> {
        let volumes = SnapshotCapability {
            live: Some(Consistency::Crash),
            offline: true,
            memory: Memory::No,
            disk_selection: false,
            atomic_group: false,
            composite: false,
            copy: CopyKind::Full,
        };
        Ok(Capabilities {
            identity: Identity::Enforced,
            operations: [OperationKind::Snapshot, OperationKind::DeleteSnapshot].into(),
            snapshots: [(ResourceKind::Volume, volumes)].into(),
            cancel: false,
            freeze: FreezeCapability::None,
            changed_blocks: false,
            limits: Limits {
                at_once: AT_ONCE,
                rate: None,
                call_timeout: Duration::from_secs(30),
            },
        })
    }

    async fn outlook(&self, _: &ResourceRef) -> Result<Outlook> {
        Ok(Outlook::default())
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let path = format!("volumes/{}", resource.id());
        let body = self.get(&path).await?.ok_or_else(|| missing(resource))?;
        let volume: Value = serde_json::from_slice(&body).map_err(lost)?;
        Ok(Resource {
            reference: resource.clone(),
            name: resource.id().to_owned(),
            labels: Default::default(),
            created_at: None,
            fingerprint: volume["size"].to_string(),
            detail: Detail::Volume {
                size: volume["size"].as_u64().unwrap_or_default(),
                attached_to: Vec::new(),
                content_stamp: None,
            },
        })
    }

    fn list(&self, _: &stillpoint::iaas::Filter) -> BoxStream<'_, Result<Resource>> {
        Box::pin(futures_util::stream::once(async {
            Err(unsupported("to list"))
        }))
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        if !matches!(operation, Operation::Snapshot(_)) {
            return Err(unsupported("that"));
        }
        let put = format!("http://{}/snapshots/{key}", self.address);
        self.call(self.client.put(put)).await?;
        Ok(Ticket::new(key.as_str()))
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        _: Option<&Ticket>,
    ) -> Result<Observation> {
        let Operation::Snapshot(take) = operation else {
            return Err(unsupported("that"));
        };
        if self.get(&format!("snapshots/{key}")).await?.is_none() {
            return Ok(Observation::Absent);
        }
        let parts = take.parts.iter().map(|part| {
            let snapshot =
                ResourceRef::new(part.volume.provider(), ResourceKind::Snapshot, key.as_str());
            Ok(TakenPart {
                volume: part.volume.clone(),
                snapshot: snapshot?,
                size: 1 << 30,
                copy: CopyKind::Full,
                content_stamp: None,
            })
        });
        let output = Output::Snapshot(TakenSnapshot {
            parts: parts.collect::<Result<_>>()?,
            taken_at: Timestamp::now(),
            consistency: Consistency::Crash,
            capture: Capture::Live,
            memory: Memory::No,
        });
        Ok(Observation::Done {
            output,
            twins: Vec::new(),
        })
    }

    async fn cancel(&self, _: &OperationKey, _: &Operation, _: Option<&Ticket>) -> Result<()> {
        Ok(())
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        None
    }
}

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("http")
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.address)
    }
}

fn lost(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "the server does not answer").because(source)
}

fn missing(resource: &ResourceRef) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {resource}"))
}

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("this cloud does not know how {what} is done"),
    )
}
