use std::fmt;
use std::future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint_core::{Error, ErrorKind, Resource, ResourceRef, Result, Retry, World};
use tokio::time::sleep;

use crate::bytes::VolumeBytes;
use crate::capabilities::Capabilities;
use crate::key::{OperationKey, Ticket};
use crate::observation::Observation;
use crate::operation::Operation;
use crate::outlook::Outlook;
use crate::provider::{Filter, Provider};
use crate::sim::{At, Call, Script};

/// A provider between which and its caller things get lost.
///
/// Calls without [`Trouble`] go through unchanged, and bytes always do.
pub struct Faulty<P: ?Sized> {
    script: Mutex<Script<Trouble>>,
    inner: Arc<P>,
}

/// What happens to a call on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Trouble {
    /// A submit is answered with a timeout, and comes through only later. Other calls: as
    /// [`TimedOut`](Self::TimedOut).
    Late {
        /// How much later.
        by: Duration,
    },
    /// There is never an answer: the call hangs until its caller gives up.
    LostReply {
        /// Whether it came through.
        done: bool,
    },
    /// Too many calls (429).
    RateLimited {
        /// What the answer says of when to come back.
        retry_after: Option<Duration>,
    },
    /// The answer takes so much longer.
    Stall {
        /// How much longer.
        by: Duration,
    },
    /// The answer is a timeout (504).
    TimedOut {
        /// Whether it came through.
        done: bool,
    },
    /// Nobody is there (503): nothing happened.
    Unavailable,
}

impl<P: Provider + ?Sized> Faulty<P> {
    /// A proxy that does nothing yet.
    pub fn new(inner: Arc<P>) -> Self {
        Self {
            script: Mutex::default(),
            inner,
        }
    }

    /// Lets a call meet trouble.
    pub fn trouble(&self, at: At, trouble: Trouble) {
        self.script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(at, trouble);
    }

    /// What is behind it.
    pub fn inner(&self) -> &Arc<P> {
        &self.inner
    }

    fn draw(&self, call: Call, operation: Option<&Operation>) -> Option<Trouble> {
        self.script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .draw(call, operation)
    }

    async fn pass<T>(
        &self,
        trouble: Option<Trouble>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match trouble {
            None => call.await,
            Some(Trouble::LostReply { done }) => {
                if done {
                    let _ = call.await;
                }
                future::pending().await
            }
            Some(Trouble::RateLimited { retry_after }) => Err(Error::new(
                ErrorKind::RateLimited,
                "too many requests, says the fault proxy",
            )
            .retry_with(Retry::After(retry_after.unwrap_or(Duration::from_secs(1))))),
            Some(Trouble::Stall { by }) => {
                let answer = call.await;
                sleep(by).await;
                answer
            }
            Some(Trouble::TimedOut { done: true }) => {
                let _ = call.await;
                Err(timed_out())
            }
            Some(Trouble::Late { .. } | Trouble::TimedOut { done: false }) => Err(timed_out()),
            Some(Trouble::Unavailable) => Err(Error::new(
                ErrorKind::Unavailable,
                "nobody answers, says the fault proxy",
            )
            .retry_with(Retry::After(Duration::from_secs(1)))),
        }
    }
}

fn timed_out() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "no answer in time, says the fault proxy",
    )
    .leaving(World::Unknown)
    .advise("Observe the operation by its key before anything else")
}

#[async_trait]
impl<P: Provider + ?Sized> Provider for Faulty<P> {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.inner.capabilities().await
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.inner.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let trouble = self.draw(Call::Describe, None);
        self.pass(trouble, self.inner.describe(resource)).await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let trouble = self.draw(Call::List, None);
        let through = self.inner.list(filter);
        let first = self.pass(trouble, async { Ok(through) });
        stream::once(first).try_flatten().boxed()
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        let trouble = self.draw(Call::Submit, Some(operation));
        if let Some(Trouble::Late { by }) = trouble {
            let (inner, key, operation) = (self.inner.clone(), key.clone(), operation.clone());
            tokio::spawn(async move {
                sleep(by).await;
                // Nobody waits for the answer any more.
                let _ = inner.submit(&key, &operation).await;
            });
        }
        self.pass(trouble, self.inner.submit(key, operation)).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let trouble = self.draw(Call::Observe, Some(operation));
        let through = self.inner.observe(key, operation, ticket);
        self.pass(trouble, through).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        let trouble = self.draw(Call::Cancel, Some(operation));
        let through = self.inner.cancel(key, operation, ticket);
        self.pass(trouble, through).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.inner.bytes()
    }
}

impl<P: Provider + ?Sized> fmt::Debug for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("script", &self.script)
            .field("inner", &&self.inner)
            .finish()
    }
}

impl<P: Provider + ?Sized> fmt::Display for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}
