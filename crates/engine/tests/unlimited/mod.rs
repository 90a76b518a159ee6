use std::fmt;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use stillpoint_core::{Resource, ResourceRef, Result};
use stillpoint_iaas::sim::SimProvider;
use stillpoint_iaas::{
    Capabilities, Filter, Observation, Operation, OperationKey, Outlook, Provider, Ticket,
    VolumeBytes,
};

/// A provider that has a rate limit and does not tell.
#[derive(Debug)]
pub(crate) struct Unlimited(pub(crate) SimProvider);

#[async_trait]
impl Provider for Unlimited {
    async fn capabilities(&self) -> Result<Capabilities> {
        let mut can = self.0.capabilities().await?;
        can.limits.rate = None;
        Ok(can)
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.0.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.0.describe(resource).await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        self.0.list(filter)
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.0.submit(key, operation).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        self.0.observe(key, operation, ticket).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        self.0.cancel(key, operation, ticket).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        self.0.bytes()
    }
}

impl fmt::Display for Unlimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
