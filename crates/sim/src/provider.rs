use std::fmt;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use stillpoint_core::{Resource, ResourceRef, Result};
use stillpoint_iaas::sim::SimProvider;
use stillpoint_iaas::{
    Capabilities, Filter, Observation, Operation, OperationKey, Outlook, Provider, Ticket,
    VolumeBytes,
};

use crate::fence::Fence;
use crate::world::World;

/// A cloud as one life of the service reaches it.
#[derive(Clone)]
pub(crate) struct LifeProvider {
    pub(crate) inner: SimProvider,
    pub(crate) world: World,
    pub(crate) fence: Fence,
    pub(crate) life: u64,
}

impl LifeProvider {
    async fn touch(&self, what: &str) {
        let life = self.life;
        let line = format!("#{life} {} {what}", self.inner);
        self.world.touch(&self.fence, life, line).await;
    }

    /// A call that is in the trace, and the moments before and after which can be the last.
    async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T>> + Send,
        tell: impl FnOnce(&T) -> String + Send,
    ) -> Result<T>
    where
        T: Send + Sync,
    {
        self.touch(what).await;
        let answer = call.await;
        let said = match &answer {
            Ok(answer) => tell(answer),
            Err(error) => error.to_string(),
        };
        self.touch(&format!("says {said}")).await;
        answer
    }
}

#[async_trait]
impl Provider for LifeProvider {
    async fn capabilities(&self) -> Result<Capabilities> {
        self.fence.pass().await;
        self.inner.capabilities().await
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.fence.pass().await;
        self.inner.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.fence.pass().await;
        let described = self.inner.describe(resource).await;
        self.fence.pass().await;
        described
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        self.inner.list(filter)
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        let what = format!("submit {key}: {operation}");
        let submit = self.inner.submit(key, operation);
        self.call(&what, submit, |ticket| ticket.as_str().to_owned())
            .await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        let what = format!("observe {key}");
        let observe = self.inner.observe(key, operation, ticket);
        self.call(&what, observe, tell).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        let what = format!("cancel {key}");
        let cancel = self.inner.cancel(key, operation, ticket);
        self.call(&what, cancel, |()| "yes".to_owned()).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.inner.bytes()
    }
}

fn tell(seen: &Observation) -> String {
    match seen {
        Observation::Absent => "absent".to_owned(),
        Observation::Cancelled { left } => format!("cancelled, left {}", left.len()),
        Observation::Done { output, twins } => {
            let made: Vec<_> = output.created().iter().map(ToString::to_string).collect();
            format!("done [{}], {} twins", made.join(" "), twins.len())
        }
        Observation::Failed { error, left } => format!("failed, left {}: {error}", left.len()),
        Observation::Running { .. } => "running".to_owned(),
        Observation::Unknown { evidence, .. } => format!("unknown: {evidence}"),
        _ => "something else".to_owned(),
    }
}

impl fmt::Debug for LifeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifeProvider")
            .field("inner", &self.inner)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LifeProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
