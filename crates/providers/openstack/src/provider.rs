use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use stillpoint_core::{Resource, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{
    BoxStream, Capabilities, Filter, FreezeCapability, Identity, Limits, Observation, Operation,
    OperationKey, Outlook, Provider, Ticket, VolumeBytes,
};

use crate::builder::Builder;
use crate::cloud::Cloud;
use crate::config::CloudConfig;
use crate::images::{ImageBytes, NewImage};
use crate::ops::{Ask, SUPPORTED};
use crate::outlook::EACH;

/// A project in an OpenStack cloud. See the [crate's documentation](crate).
#[derive(Debug)]
pub struct OpenStack {
    cloud: Arc<Cloud>,
    at_once: u32,
    timeout: Duration,
}

impl OpenStack {
    /// A cloud under a provider name, which is the first word of its resources' names.
    ///
    /// Nothing is called before something is asked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](stillpoint_core::ErrorKind::Invalid) where the name is no provider
    /// name or the file of certificates is none.
    pub fn new(name: &str, config: CloudConfig) -> Result<Self> {
        Self::builder(name, config).build()
    }

    /// As [`new`](Self::new), with more to choose.
    pub fn builder(name: &str, config: CloudConfig) -> Builder {
        Builder::new(name, config)
    }

    /// How many bytes an image has, what they are, and the digest that Glance keeps of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`](stillpoint_core::ErrorKind::Precondition) while it is not
    /// complete.
    pub async fn image_bytes(&self, image: &ResourceRef) -> Result<ImageBytes> {
        self.cloud.image_bytes(image).await
    }

    /// All of an image's bytes as they are stored, as they come, checked by the digest that Glance
    /// keeps: where they are not those of it, the last item is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`](stillpoint_core::ErrorKind::Precondition) where it is not
    /// complete or Glance has no digest of it, and those of the first answer; later ones come in
    /// the stream, [`ErrorKind::Corrupt`](stillpoint_core::ErrorKind::Corrupt) behind its end.
    pub async fn download_image(
        &self,
        image: &ResourceRef,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.cloud.download_image(image).await
    }

    /// Makes an image of bytes as they come, and checks what is there then by its digest.
    ///
    /// Asked again under the key, it gives the image that there is, or goes on with one that has
    /// no bytes yet. Where it fails, the image is deleted again.
    ///
    /// # Errors
    ///
    /// Those of the bytes and of the cloud; [`ErrorKind::Busy`](stillpoint_core::ErrorKind::Busy)
    /// while it is written under the same key,
    /// [`ErrorKind::Corrupt`](stillpoint_core::ErrorKind::Corrupt) where other bytes are there
    /// than were given.
    pub async fn upload_image(
        &self,
        key: &OperationKey,
        image: &NewImage,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ResourceRef> {
        self.cloud.write_image(key, image, bytes).await
    }

    /// A range of an image's bytes as they are stored, as they come. Fewer than asked for are an
    /// error at the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the first answer; later ones come in the stream.
    pub async fn read_image(
        &self,
        image: &ResourceRef,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.cloud.read_image(image, range).await
    }

    pub(crate) fn of(cloud: Cloud, at_once: u32, timeout: Duration) -> Self {
        Self {
            cloud: Arc::new(cloud),
            at_once,
            timeout,
        }
    }

    fn ask<'a>(&'a self, key: &'a OperationKey, ticket: Option<&'a Ticket>) -> Ask<'a> {
        Ask {
            cloud: &self.cloud,
            key,
            ticket,
        }
    }
}

impl fmt::Display for OpenStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cloud.name)
    }
}

#[async_trait]
impl Provider for OpenStack {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(Capabilities {
            identity: Identity::Findable {
                settle: self.cloud.settle,
            },
            operations: BTreeSet::from(SUPPORTED),
            snapshots: BTreeMap::from([
                (ResourceKind::Instance, EACH),
                (ResourceKind::Volume, EACH),
            ]),
            cancel: true,
            freeze: FreezeCapability::None,
            changed_blocks: false,
            limits: Limits {
                at_once: self.at_once,
                rate: None,
                // An operation may take several calls.
                call_timeout: self.timeout * 4,
            },
        })
    }

    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook> {
        self.cloud.outlook(source).await
    }

    async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        self.cloud.describe(resource).await
    }

    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>> {
        let filter = filter.clone();
        stream::once(async move { self.cloud.list(&filter).await })
            .map_ok(|all| stream::iter(all.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket> {
        self.ask(key, None).submit(operation).await
    }

    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation> {
        self.ask(key, ticket).observe(operation).await
    }

    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()> {
        self.ask(key, ticket).cancel(operation).await
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        None
    }
}
