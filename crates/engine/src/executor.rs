use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Progress, ResourceRef, Result};
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

    /// Bytes that this work would move, as near as can be told beforehand; 0 where it cannot. It is
    /// asked while a plan is made, for the progress of its job.
    async fn size(&self, _work: &CustomWork) -> u64 {
        0
    }
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

/// What an executor that captures the control plane is asked: the body of its steps. What a
/// [`Request::Capture`](crate::Request::Capture) makes is listed, kept and pruned as any other
/// snapshot; what it holds, and where, is the executor's affair.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagerWork {
    /// Capture the manager under this name. What is [`Done`](CustomObservation::Done) is a
    /// [`Captured`].
    Capture {
        /// The snapshot's name.
        name: String,
    },
    /// Delete what was captured. That it is gone already is no failure.
    Discard {
        /// What the capture gave; `Null` where nobody knows.
        captured: Value,
    },
}

/// What capturing the manager gave.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Captured {
    /// The point in time that it holds; none: when it was asked for.
    #[serde(default)]
    pub taken_at: Option<Timestamp>,
    /// Whether every byte was read back and matched. Retention counts no other.
    #[serde(default)]
    pub verified: bool,
    /// Where it is: what the executor needs to restore or discard it. No secrets.
    #[serde(default)]
    pub place: Value,
}

impl ManagerWork {
    /// What a step asks for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where it is none of these: the executor serves other steps too.
    pub fn of(work: &CustomWork) -> Result<Self> {
        let asked = serde_json::from_value(work.body.clone()).map_err(|source| {
            Error::new(ErrorKind::Invalid, "this is no work on the manager")
                .advise("Give steps of another kind another executor")
                .because(source)
        })?;
        Ok(match (asked, &work.output) {
            // An undo knows only what its step has brought about.
            (
                Self::Discard {
                    captured: Value::Null,
                },
                Some(output),
            ) => Self::Discard {
                captured: output.clone(),
            },
            (asked, _) => asked,
        })
    }
}

impl Captured {
    /// What can be read of it: an executor that says nothing has promised nothing.
    pub(crate) fn read(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }
}
