use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stillpoint::iaas::{
    BoxStream, Capabilities, Filter, Observation, Operation, OperationKey, Ticket, VolumeBytes,
};
use stillpoint::state::{Batch, Committed, Entry, Revision, Scan, State};
use stillpoint::{Provider, Resource, ResourceRef, Result};

/// A moment before or after something durable or outside may have changed.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    Cancel(&'a OperationKey),
    Cancelled(&'a OperationKey),
    Commit,
    Committed,
    Submit(&'a OperationKey, &'a Operation),
    Submitted(&'a OperationKey),
}

/// Is told of every such moment, before anything goes on.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(Moment<'_>) + Send + Sync>);

impl Watcher {
    pub fn new(tell: impl Fn(Moment<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
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
        (self.0)(moment);
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
        self.inner.bytes()
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
