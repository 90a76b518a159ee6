//! What a call of a plan comes to when it begins, and how it is begun, watched and stopped.

mod custom;
mod discard;
mod operation;
mod proof;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use stillpoint_core::{Error, ErrorKind, Progress, ResourceRef, Result, Retry, World};
use stillpoint_iaas::{OperationKey, Ticket};
use stillpoint_restore::{Call, Event, Failure, Left, Machine, Retryable};
use tokio::sync::{Notify, OnceCell};

use crate::action::{Action, Outputs, StepOutput};
use crate::clock::{Clock, within};
use crate::executor::{CustomWork, Executor};
use crate::gate::{Gate, Turn};
use crate::planning::{Providers, find};

use self::custom::Custom;
use self::discard::Discard;
use self::operation::Ask;
pub(crate) use self::operation::deletion;
use self::proof::{Compare, Verify};

/// For how long an executor is asked how much there is.
const SIZE: Duration = Duration::from_secs(10);

/// What calls are carried out with.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) providers: Providers,
    executors: BTreeMap<String, Arc<dyn Executor>>,
    /// A gate is made when its provider has told its limits, which it may not at the start.
    gates: BTreeMap<String, OnceCell<Arc<Gate>>>,
    clock: Arc<dyn Clock>,
}

/// One call, with all its arguments.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Ask(Ask),
    Compare(Compare),
    Custom(Custom),
    Discard(Discard),
    Verify(Verify),
}

/// What a watched call is told, and tells.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) cancelled: Arc<Notify>,
    pub(crate) progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

/// What came of beginning a call.
#[derive(Debug)]
pub(crate) enum Begun {
    Accepted(Option<Ticket>),
    /// It is known that nothing was and will be changed.
    Failed(Error),
    /// It may have happened.
    Lost(Error),
}

/// What is learned of a call, and the whole error where there is one.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) event: Event<StepOutput>,
    pub(crate) error: Option<Error>,
}

impl Workshop {
    pub(crate) fn new(
        providers: Providers,
        executors: BTreeMap<String, Arc<dyn Executor>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let gates = providers
            .keys()
            .map(|name| (name.clone(), OnceCell::new()))
            .collect();
        Self {
            providers,
            executors,
            gates,
            clock,
        }
    }

    /// Whether this stands for a control plane that an executor captures.
    pub(crate) fn is_manager(&self, source: &ResourceRef) -> bool {
        self.check_manager(source.provider()).is_ok()
    }

    /// Bytes that an executor would move for this; 0 where it does not know soon. It is for progress
    /// alone, and nothing that hangs may keep a plan from being made.
    pub(crate) async fn size(&self, executor: &str, work: &CustomWork) -> u64 {
        match self.executors.get(executor) {
            Some(executor) => {
                let asked = within(&*self.clock, SIZE, executor.size(work)).await;
                asked.unwrap_or(0)
            }
            None => 0,
        }
    }

    /// Refuses an executor that is not there, or whose name is that of a provider: who reads
    /// `prod/instance/self` must know which of them it is of.
    pub(crate) fn check_manager(&self, executor: &str) -> Result<()> {
        if self.providers.contains_key(executor) {
            let message = format!("`{executor}` is a provider, and an executor");
            return Err(Error::new(ErrorKind::Invalid, message).advise("Rename one of them"));
        }
        if !self.executors.contains_key(executor) {
            let message = format!("there is no executor `{executor}`");
            return Err(Error::new(ErrorKind::NotFound, message)
                .advise("Register it with the builder, or correct the name"));
        }
        Ok(())
    }

    /// The gate before a provider.
    async fn gate(&self, provider: &str) -> Result<Arc<Gate>> {
        let asked = find(&self.providers, provider)?;
        let gate = self.gates.get(provider).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("provider {provider} has no gate"),
            )
        })?;
        let make = || async {
            let limits = asked.capabilities().await?.limits;
            Ok(Arc::new(Gate::new(limits, Arc::clone(&self.clock))))
        };
        gate.get_or_try_init(make).await.cloned()
    }

    /// The work that a call comes to, with the outputs of what is over.
    pub(crate) async fn work(
        &self,
        machine: &Machine<Action, StepOutput>,
        call: Call,
    ) -> Result<Work> {
        let action = machine.plan().action(call).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("the plan has nothing for {call}"),
            )
        })?;
        Ok(match action {
            Action::Ask { provider, ask, .. } => {
                let operation = ask.resolve(machine)?;
                Work::Ask(Ask::new(self, provider, operation).await?)
            }
            Action::Compare {
                provider,
                made,
                from,
                digest,
                ..
            } => Work::Compare(Compare {
                provider: Arc::clone(find(&self.providers, provider)?),
                made: made.resolve(machine)?,
                from: from.resolve(machine)?,
                digest: *digest,
            }),
            Action::Custom {
                executor,
                body,
                inputs,
                ..
            } => {
                let executor = self.executors.get(executor).cloned().ok_or_else(|| {
                    let message = format!("there is no executor `{executor}`");
                    Error::new(ErrorKind::NotFound, message)
                        .advise("Register it with the builder before the job goes on")
                })?;
                let inputs = inputs.iter().map(|input| input.resolve(machine));
                let work = CustomWork {
                    body: body.clone(),
                    inputs: inputs.collect::<Result<_>>()?,
                    output: own(machine, call),
                };
                Work::Custom(Custom::new(executor, work))
            }
            Action::Delete {
                provider,
                resources,
            } => Work::Discard(Discard::new(self, provider, resources.clone()).await?),
            Action::Discard { provider, step } => {
                let resources = discarded(machine, call, step);
                Work::Discard(Discard::new(self, provider, resources).await?)
            }
            Action::Verify {
                provider, steps, ..
            } => {
                let provider = Arc::clone(find(&self.providers, provider)?);
                Work::Verify(Verify::new(provider, machine, steps)?)
            }
        })
    }
}

impl Work {
    /// The gate that it has to pass before it begins.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        match self {
            Self::Ask(ask) => Some(ask.gate()),
            Self::Discard(discard) => discard.gate(),
            Self::Compare(_) | Self::Custom(_) | Self::Verify(_) => None,
        }
    }

    /// Makes the call, in its turn where it has to pass a gate.
    pub(crate) async fn begin(
        &self,
        key: &OperationKey,
        turn: Option<&mut Turn>,
        clock: &dyn Clock,
    ) -> Begun {
        match (self, turn) {
            (Self::Ask(ask), Some(turn)) => ask.begin(key, turn, clock).await,
            (Self::Ask(_), None) => Begun::Failed(Error::new(
                ErrorKind::Internal,
                "a call was made out of its turn",
            )),
            (Self::Custom(custom), _) => custom.begin(key).await,
            // These change nothing, or only what is named in the journal: watching does it.
            (Self::Compare(_) | Self::Discard(_) | Self::Verify(_), _) => Begun::Accepted(None),
        }
    }

    /// Waits for the end of the call, whoever began it.
    pub(crate) async fn watch(
        &self,
        call: Call,
        key: &OperationKey,
        ticket: Option<Ticket>,
        turn: Option<Turn>,
        line: &Line,
        clock: &dyn Clock,
    ) -> Learned {
        match self {
            Self::Ask(ask) => ask.watch(call, key, ticket, line, clock).await,
            Self::Compare(compare) => compute(call, line, compare.run(line)).await,
            Self::Custom(custom) => custom.watch(call, key, ticket, line, clock).await,
            Self::Discard(discard) => discard.run(call, key, turn, clock).await,
            Self::Verify(verify) => compute(call, line, verify.run(line)).await,
        }
    }

    /// Asks for the call to stop. What came of it is learned by watching.
    pub(crate) async fn cancel(&self, key: &OperationKey, ticket: Option<Ticket>, line: &Line) {
        match self {
            Self::Ask(ask) => ask.cancel(key, ticket).await,
            Self::Custom(custom) => custom.cancel(key).await,
            Self::Compare(_) | Self::Discard(_) | Self::Verify(_) => line.cancelled.notify_one(),
        }
    }
}

impl Outputs for Machine<Action, StepOutput> {
    fn output(&self, step: &str) -> Option<&StepOutput> {
        self.output(self.plan().find(step)?)
    }
}

impl Learned {
    /// It took effect.
    pub(crate) fn done(call: Call, output: StepOutput, twins: Vec<StepOutput>) -> Self {
        Self {
            event: Event::Done {
                call,
                output,
                twins,
            },
            error: None,
        }
    }

    /// It failed, leaving this.
    pub(crate) fn failed(call: Call, error: Error, left: Vec<ResourceRef>) -> Self {
        let left = match left {
            _ if error.world() == World::Unknown => Left::Unknown,
            left if left.is_empty() => Left::Nothing,
            left => Left::Something(StepOutput::Left(left)),
        };
        Self {
            event: Event::Failed {
                call,
                failure: failure(&error, left),
            },
            error: Some(error),
        }
    }
}

pub(crate) fn failure(error: &Error, left: Left<StepOutput>) -> Failure<StepOutput> {
    let retry = match error.retry() {
        Retry::After(wait) => {
            Retryable::After(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX))
        }
        _ => Retryable::Never,
    };
    Failure {
        left,
        message: error.to_report().message,
        retry,
    }
}

/// The things that a discard is to delete: of this round's result, or of one nobody adopts.
pub(crate) fn discarded(
    machine: &Machine<Action, StepOutput>,
    call: Call,
    step: &str,
) -> Vec<ResourceRef> {
    let output = match call {
        Call::Sweep { step, extra } => machine.extra(step, extra),
        _ => machine
            .plan()
            .find(step)
            .and_then(|step| machine.output(step)),
    };
    output.map(StepOutput::resources).unwrap_or_default()
}

/// What a custom step brought about, for its own undo or sweep.
fn own(machine: &Machine<Action, StepOutput>, call: Call) -> Option<serde_json::Value> {
    let output = match call {
        Call::Sweep { step, extra } => machine.extra(step, extra),
        Call::Undo(step) => machine.output(step),
        Call::Release(bracket) => machine.held(bracket),
        Call::Acquire(_) | Call::Do(_) => None,
    };
    match output? {
        StepOutput::Custom(value) => Some(value.clone()),
        _ => None,
    }
}

/// Runs what only reads, until it is over or cancelled.
async fn compute(
    call: Call,
    line: &Line,
    run: impl Future<Output = Result<crate::action::Proof>> + Send,
) -> Learned {
    let cancelled = line.cancelled.notified();
    futures_util::pin_mut!(cancelled, run);
    match futures_util::future::select(run, cancelled).await {
        futures_util::future::Either::Left((Ok(proof), _)) => {
            Learned::done(call, StepOutput::Proof(proof), Vec::new())
        }
        futures_util::future::Either::Left((Err(error), _)) => {
            Learned::failed(call, error.leaving(World::Untouched), Vec::new())
        }
        futures_util::future::Either::Right(_) => {
            let error = Error::new(ErrorKind::Cancelled, "it was stopped");
            Learned::failed(call, error, Vec::new())
        }
    }
}
