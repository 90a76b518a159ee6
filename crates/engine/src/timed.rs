use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use stillpoint_core::{Error, ErrorKind, Resource, ResourceRef, Result, Retry, World};
use stillpoint_iaas::{
    Capabilities, Extent, Filter, Observation, Operation, OperationKey, Outlook, Provider, Ticket,
    VolumeBytes,
};

use crate::clock::{Clock, within};

/// How long to wait for a provider that has not told its limits yet.
const UNTOLD: Duration = Duration::from_secs(60);

/// When to ask again after a question that nobody answered.
const AGAIN: Duration = Duration::from_secs(1);

/// A provider that is not waited for longer than it says itself: a reply that is lost must not
/// hold up a plan or a job for ever.
///
/// Submits and observes go through as they are: whoever makes those knows what a lost reply means.
pub(crate) struct Timed {
    inner: Arc<dyn Provider>,
    clock: Arc<dyn Clock>,
    limit: OnceLock<Duration>,
}

impl Timed {
    pub(crate) fn new(inner: Arc<dyn Provider>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            limit: OnceLock::new(),
        }
    }

    fn limit(&self) -> Duration {
        self.limit.get().copied().unwrap_or(UNTOLD)
    }

    async fn wait<T>(&self, what: &str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let limit = self.limit();
        within(&*self.clock, limit, call).await.unwrap_or_else(|| {
            let message = format!("{} did not answer within {limit:?}: {what}", self.inner);
            Err(Error::new(ErrorKind::Timeout, message)
                .retry_with(Retry::After(AGAIN))
                .advise("Look whether it is there, and try again"))
        })
    }

    fn inner_bytes(&self) -> Result<&dyn VolumeBytes> {
        self.inner.bytes().ok_or_else(|| {
            let message = format!("{} gives no access to bytes any more", self.inner);
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}

#[async_trait]
impl Provider for Timed {
    async fn capabilities(&self) -> Result<Capabilities> {
        let can = self
            .wait("what it can do", self.inner.capabilities())
            .await?;
        self.limit.get_or_init(|| can.limits.call_timeout);
        Ok(can)
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.wait("what may come of it", self.inner.outlook(source))
            .await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.wait("describe", self.inner.describe(resource))
            .await
            .map_err(|error| match error.resource() {
                None => error.on(resource.clone()),
                Some(_) => error,
            })
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let listed = Some(self.inner.list(filter));
        stream::unfold(listed, move |listed| async move {
            let mut listed = listed?;
            let next = async { listed.next().await.transpose() };
            match self.wait("list", next).await {
                Ok(next) => next.map(|found| (Ok(found), Some(listed))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.inner.submit(key, operation).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        self.inner.observe(key, operation, ticket).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        self.wait("cancel", self.inner.cancel(key, operation, ticket))
            .await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.inner.bytes().map(|_| self as &dyn VolumeBytes)
    }
}

#[async_trait]
impl VolumeBytes for Timed {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        self.wait("size", self.inner_bytes()?.size(of)).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        self.wait("extents", self.inner_bytes()?.extents(of, from))
            .await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        self.wait("read", self.inner_bytes()?.read(of, offset, length))
            .await
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        self.wait("write", self.inner_bytes()?.write(to, offset, bytes))
            .await
            .map_err(lost)
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        self.wait("flush", self.inner_bytes()?.flush(volume))
            .await
            .map_err(lost)
    }
}

/// A write that nobody answered may have been made.
fn lost(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Timeout => error.leaving(World::Unknown),
        _ => error,
    }
}

impl fmt::Debug for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
