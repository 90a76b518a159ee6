use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stillpoint::iaas::{
    BoxStream, Capabilities, Extent, Filter, Observation, Operation, OperationKey, Outlook, Ticket,
    VolumeBytes,
};
use stillpoint::state::{Batch, Committed, Entry, Revision, Scan, State};
use stillpoint::{Provider, Resource, ResourceRef, Result};

/// A moment before or after something durable or outside may have changed.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// Bytes of a volume or snapshot are read or written.
    Bytes,
    Cancel(&'a OperationKey),
    Cancelled(&'a OperationKey),
    Commit,
    Committed,
    Submit(&'a OperationKey, &'a Operation),
    Submitted(&'a OperationKey),
}

/// Is told of every such moment, before anything goes on.
#[derive(Clone)]
pub struct Watcher {
    tell: Arc<dyn Fn(Moment<'_>) + Send + Sync>,
    bytes: bool,
}

impl Watcher {
    pub fn new(tell: impl Fn(Moment<'_>) + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(tell),
            bytes: false,
        }
    }

    /// Also of every access to bytes, which are many.
    pub fn with_bytes(mut self) -> Self {
        self.bytes = true;
        self
    }

    pub fn provider(&self, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(WatchedProvider {
            inner,
            watcher: self.clone(),
        })
    }

    pub fn state(&self, inner: Arc<dyn State>) -> Arc<dyn State> {
        Arc::new(WatchedState {
            inner,
            watcher: self.clone(),
        })
    }

    fn tell(&self, moment: Moment<'_>) {
        (self.tell)(moment);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

#[derive(Debug)]
struct WatchedProvider {
    inner: Arc<dyn Provider>,
    watcher: Watcher,
}

impl fmt::Display for WatchedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Provider for WatchedProvider {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.inner.capabilities().await
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.inner.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.inner.describe(resource).await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        self.inner.list(filter)
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.watcher.tell(Moment::Submit(key, operation));
        let ticket = self.inner.submit(key, operation).await;
        self.watcher.tell(Moment::Submitted(key));
        ticket
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
        self.watcher.tell(Moment::Cancel(key));
        let cancelled = self.inner.cancel(key, operation, ticket).await;
        self.watcher.tell(Moment::Cancelled(key));
        cancelled
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        if self.watcher.bytes {
            return Some(self);
        }
        self.inner.bytes()
    }
}

impl WatchedProvider {
    /// The bytes behind, which are about to be touched.
    fn watched_bytes(&self) -> &dyn VolumeBytes {
        self.watcher.tell(Moment::Bytes);
        self.inner.bytes().expect("whoever is watched has bytes")
    }
}

#[async_trait]
impl VolumeBytes for WatchedProvider {
    async fn size(&self, of: &ResourceRef) -> Result<u64> {
        self.watched_bytes().size(of).await
    }

    async fn extents(&self, of: &ResourceRef, from: u64) -> Result<Vec<Extent>> {
        self.watched_bytes().extents(of, from).await
    }

    async fn read(&self, of: &ResourceRef, offset: u64, length: usize) -> Result<Bytes> {
        self.watched_bytes().read(of, offset, length).await
    }

    async fn write(&self, to: &ResourceRef, offset: u64, bytes: Bytes) -> Result<()> {
        self.watched_bytes().write(to, offset, bytes).await
    }

    async fn flush(&self, volume: &ResourceRef) -> Result<()> {
        self.watched_bytes().flush(volume).await
    }
}

#[derive(Debug)]
struct WatchedState {
    inner: Arc<dyn State>,
    watcher: Watcher,
}

impl fmt::Display for WatchedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl State for WatchedState {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.watcher.tell(Moment::Commit);
        let committed = self.inner.commit(batch).await;
        self.watcher.tell(Moment::Committed);
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}
