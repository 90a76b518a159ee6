use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use stillpoint_core::{Progress, Result};
use stillpoint_iaas::{OperationKey, Ticket};

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

/// What a custom step is to do.
#[derive(Clone, Debug)]
pub struct CustomWork {
    /// Whatever the plan says.
    pub body: Value,
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
