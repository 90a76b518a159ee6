use std::fmt;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Labels, Resource, ResourceKind, ResourceRef, Result};

use crate::bytes::VolumeBytes;
use crate::capabilities::Capabilities;
use crate::key::{OperationKey, Ticket};
use crate::observation::Observation;
use crate::operation::Operation;
use crate::outlook::Outlook;

/// A system that has instances, volumes and images.
///
/// Object-safe: it is passed around as `Arc<dyn Provider>`. It displays as the name it was
/// registered under, which is also the first word of its resources' [`ResourceRef`]s.
#[async_trait]
pub trait Provider: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What it can do. Asked before every plan, so cheap or cached.
    async fn capabilities(&self) -> Result<Capabilities>;

    /// What may come of this source: an instance or volume, of which there may be more or less to
    /// say than of all of its kind. Asked before a snapshot of it is planned, and a restore in
    /// place; and of a snapshot before a new instance that is to boot from it; [`ErrorKind::NotFound`](stillpoint_core::ErrorKind::NotFound) where it is gone, if
    /// it has to be looked at. Changes nothing.
    async fn outlook(&self, source: &ResourceRef) -> Result<Outlook>;

    /// The resource as it is now; [`ErrorKind::NotFound`](stillpoint_core::ErrorKind::NotFound)
    /// where there is none.
    async fn describe(&self, resource: &ResourceRef) -> Result<Resource>;

    /// All resources that match, in a stable order, paged inside. One that vanishes meanwhile is
    /// left out; an error ends the stream.
    fn list(&self, filter: &Filter) -> BoxStream<'_, Result<Resource>>;

    /// Starts the operation under this key and returns as soon as the system has it.
    ///
    /// The caller has made the key durable before. An error whose
    /// [`world`](stillpoint_core::Error::world) is `Untouched` promises that nothing was and will
    /// be changed; in any other case the caller [observes](Self::observe) before it does anything
    /// else.
    async fn submit(&self, key: &OperationKey, operation: &Operation) -> Result<Ticket>;

    /// What became of the operation under this key. Changes nothing.
    ///
    /// There is no ticket after a crash or a lost reply: then the answer is from the key alone.
    /// An error means that the question could not be asked, and says nothing of the operation.
    async fn observe(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<Observation>;

    /// Asks the system to stop the operation, and returns at once; what came of it is then
    /// [observed](Self::observe). Cancelling what is over or was never there is a success.
    async fn cancel(
        &self,
        key: &OperationKey,
        operation: &Operation,
        ticket: Option<&Ticket>,
    ) -> Result<()>;

    /// Access to bytes, where the system gives it.
    fn bytes(&self) -> Option<&dyn VolumeBytes>;
}

/// Which resources to list. The default is all of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Filter {
    /// Only of this kind.
    pub kind: Option<ResourceKind>,
    /// Only those that have all these labels with these values.
    pub labels: Labels,
    /// Only snapshots of this volume.
    pub of: Option<ResourceRef>,
}

impl Filter {
    /// All resources of one kind.
    pub fn kind(kind: ResourceKind) -> Self {
        Self {
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// Whether a resource is among those asked for.
    pub fn matches(&self, resource: &Resource) -> bool {
        let of = match &resource.detail {
            stillpoint_core::Detail::Snapshot { of, .. } => Some(of),
            _ => None,
        };
        self.kind
            .is_none_or(|kind| kind == resource.reference.kind())
            && self.of.as_ref().is_none_or(|wanted| Some(wanted) == of)
            && self
                .labels
                .iter()
                .all(|(key, value)| resource.labels.get(key) == Some(value))
    }
}
