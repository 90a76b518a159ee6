//! A state and a provider that count what passes through them, and end the process where told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use stillpoint::iaas::{
    BoxStream, Capabilities, Filter, Observation, Operation, OperationKey, Outlook, Ticket,
    VolumeBytes,
};
use stillpoint::state::{Batch, Committed, Entry, Revision, Scan, Write};
use stillpoint::{Provider, Resource, ResourceRef, Result, State};

/// Where to die: at the point of this number, or at the first whose name contains this.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Never,
    Number(usize),
    Point(String),
}

/// Counts points, and ends the process at one.
#[derive(Debug)]
pub(crate) struct Fuse {
    at: At,
    /// Whether every answer about the world is printed.
    tell: bool,
    seen: AtomicUsize,
}

impl Fuse {
    pub(crate) fn new(at: At, tell: bool) -> Arc<Self> {
        Arc::new(Self {
            at,
            tell,
            seen: AtomicUsize::new(0),
        })
    }

    pub(crate) fn state(self: &Arc<Self>, inner: Arc<dyn State>) -> Arc<dyn State> {
        Arc::new(Fused {
            inner,
            fuse: Arc::clone(self),
        })
    }

    pub(crate) fn provider(self: &Arc<Self>, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Fused {
            inner,
            fuse: Arc::clone(self),
        })
    }

    fn pass(&self, point: &str) {
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        let here = match &self.at {
            At::Never => false,
            At::Number(at) => *at == number,
            At::Point(part) => point.contains(part),
        };
        if here {
            println!("killed at point {number}: {point}");
            let me = rustix::process::getpid();
            // The signal that nothing can catch: no destructor runs, nothing is flushed.
            let killed = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            unreachable!("still alive after kill -9: {killed:?}");
        }
    }
}

#[derive(Debug)]
struct Fused<T: ?Sized> {
    fuse: Arc<Fuse>,
    inner: Arc<T>,
}

impl<T: fmt::Display + ?Sized> fmt::Display for Fused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl State for Fused<dyn State> {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let Some(record) = journalled(&batch)? else {
            return self.inner.commit(batch).await;
        };
        self.fuse
            .pass(&format!("before the journal says `{record}`"));
        let committed = self.inner.commit(batch).await?;
        self.fuse
            .pass(&format!("after the journal said `{record}`"));
        Ok(committed)
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}

/// The events that a batch adds to a journal; none where it is about something else.
fn journalled(batch: &Batch) -> Result<Option<String>> {
    let mut events = Vec::new();
    for (key, operation) in batch.clone().into_operations()? {
        if let (true, Some(Write::Put(value))) = (key.contains("/journal/"), operation.write) {
            // Behind the frame of five bytes a record is JSON.
            let record: serde_json::Value =
                serde_json::from_slice(value.get(5..).unwrap_or_default()).unwrap_or_default();
            let event = &record["event"];
            let named = event.as_object().and_then(|event| event.iter().next());
            events.push(match named {
                Some((name, about)) => format!("{name} {}", words(&about["call"])),
                None => words(event),
            });
        }
    }
    Ok((!events.is_empty()).then(|| events.join(", ")))
}

/// `{"do":2}` as `do 2`.
fn words(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace([':', ','], " ")
        .replace(['{', '}', '"'], "")
}

#[async_trait]
impl Provider for Fused<dyn Provider> {
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
        self.fuse.pass(&format!("before the effect `{operation}`"));
        let ticket = self.inner.submit(key, operation).await?;
        self.fuse.pass(&format!("after the effect `{operation}`"));
        Ok(ticket)
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let seen = self.inner.observe(key, operation, ticket).await?;
        if self.fuse.tell && !matches!(seen, Observation::Running { .. }) {
            let answer = match &seen {
                Observation::Absent => "it never happened",
                Observation::Done { .. } => "it is done",
                _ => "it failed",
            };
            println!("  asked by its key, {operation}: {answer}");
        }
        Ok(seen)
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        self.fuse
            .pass(&format!("before the cancel of `{operation}`"));
        self.inner.cancel(key, operation, ticket).await?;
        self.fuse
            .pass(&format!("after the cancel of `{operation}`"));
        Ok(())
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.inner.bytes()
    }
}
