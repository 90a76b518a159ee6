use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use stillpoint_core::{Progress, ResourceRef, Result};
use stillpoint_iaas::{OperationKey, Ticket};

use crate::plan::JobPlan;
use crate::request::CustomRequest;

/// How an embedder's own steps are carried out: what [`Action::Custom`](crate::Action::Custom)
/// names.
///
/// The contract is that of a provider's operations: the key is durable before
/// [`submit`](Self::submit), all attempts share it, and after a crash
/// [`observe`](Self::observe) answers from the key alone.
#[async_trait]
pub trait Executor: fmt::Debug + Send + Sync + 'static {
    /// Starts the work under this key.
    ///
    /// An error whose world is `Untouched` promises that nothing was and will be changed.
    async fn submit(&self, key: &OperationKey, work: &CustomWork) -> Result<Ticket>;

    /// What became of it.
    async fn observe(
        &self,
        key: &OperationKey,
        work: &CustomWork,
        ticket: Option<&Ticket>,
    ) -> Result<CustomObservation>;

    /// Asks it to stop; what came of that is then observed.
    async fn cancel(&self, key: &OperationKey, work: &CustomWork) -> Result<()>;
}

/// How requests of an embedder's own become plans: what
/// [`Request::Custom`](crate::Request::Custom) names.
#[async_trait]
pub trait CustomPlanner: fmt::Debug + Send + Sync + 'static {
    /// The plan of the request, with everything that stands in the way: it looks at the world and
    /// changes nothing. The plan's `request` is this one, its `made_at` this instant.
    async fn plan(&self, request: &CustomRequest, now: Timestamp) -> Result<JobPlan>;
}

/// What a custom step is to do.
#[derive(Clone, Debug)]
pub struct CustomWork {
    /// Whatever the plan says.
    pub body: Value,
    /// What its action's `inputs` came to, in their order.
    pub inputs: Vec<ResourceRef>,
    /// For an undo or a sweep: what the step brought about, as far as is known.
    pub output: Option<Value>,
}

/// What an executor knows of its work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CustomObservation {
    /// There is no trace of it.
    Absent,
    /// It is over.
    Done(Value),
    /// It failed, and will not go on.
    Failed {
        /// Why.
        error: stillpoint_core::Error,
        /// What it left behind; none: nothing.
        left: Option<Value>,
    },
    /// It goes on.
    Running {
        /// How far it is.
        progress: Option<Progress>,
        /// When to ask again.
        look_again_in: std::time::Duration,
    },
}
