use async_trait::async_trait;
use futures_util::TryStreamExt;
use stillpoint_core::{ErrorKind, Resource, ResourceRef, Result};

use crate::provider::{Filter, Provider};

/// Conveniences that every provider has, built on its own methods alone.
#[async_trait]
pub trait ProviderExt: Provider {
    /// All matching resources at once. For where they are known to be few.
    async fn list_all(&self, filter: &Filter) -> Result<Vec<Resource>> {
        self.list(filter).try_collect().await
    }

    /// The resource, or none where it does not exist.
    async fn find(&self, resource: &ResourceRef) -> Result<Option<Resource>> {
        match self.describe(resource).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<P: Provider + ?Sized> ProviderExt for P {}
