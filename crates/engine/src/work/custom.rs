use std::sync::Arc;
use std::time::Duration;

use stillpoint_core::World;
use stillpoint_iaas::{OperationKey, Ticket};
use stillpoint_restore::{Call, Event, Left};

use super::{Begun, Learned, Line, failure};
use crate::action::StepOutput;
use crate::clock::Clock;
use crate::executor::{CustomObservation, CustomWork, Executor};

/// How long to wait when an executor could not say what became of its work.
const SLOW: Duration = Duration::from_secs(1);

/// A step of an embedder's own executor.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    executor: Arc<dyn Executor>,
    work: CustomWork,
}

impl Custom {
    pub(crate) fn new(executor: Arc<dyn Executor>, work: CustomWork) -> Self {
        Self { executor, work }
    }

    pub(crate) async fn begin(&self, key: &OperationKey) -> Begun {
        match self.executor.submit(key, &self.work).await {
            Ok(ticket) => Begun::Accepted(Some(ticket)),
            Err(error) if matches!(error.world(), World::Untouched | World::RolledBack) => {
                Begun::Failed(error)
            }
            Err(error) => Begun::Lost(error),
        }
    }

    pub(crate) async fn watch(
        &self,
        call: Call,
        key: &OperationKey,
        ticket: Option<Ticket>,
        line: &Line,
        clock: &dyn Clock,
    ) -> Learned {
        loop {
            match self
                .executor
                .observe(key, &self.work, ticket.as_ref())
                .await
            {
                Ok(CustomObservation::Absent) => {
                    return Learned {
                        event: Event::Absent { call },
                        error: None,
                    };
                }
                Ok(CustomObservation::Done(value)) => {
                    return Learned::done(call, StepOutput::Custom(value), Vec::new());
                }
                Ok(CustomObservation::Failed { error, left }) => {
                    let left =
                        left.map_or(Left::Nothing, |it| Left::Something(StepOutput::Custom(it)));
                    let event = Event::Failed {
                        call,
                        failure: failure(&error, left),
                    };
                    return Learned {
                        event,
                        error: Some(error),
                    };
                }
                Ok(CustomObservation::Running {
                    progress,
                    look_again_in,
                }) => {
                    if let Some(progress) = progress {
                        (line.progress)(progress);
                    }
                    clock.sleep(look_again_in).await;
                }
                Err(error) => {
                    tracing::debug!(%key, %error, "could not observe");
                    clock.sleep(SLOW).await;
                }
            }
        }
    }

    pub(crate) async fn cancel(&self, key: &OperationKey) {
        if let Err(error) = self.executor.cancel(key, &self.work).await {
            tracing::warn!(%key, %error, "could not cancel");
        }
    }
}
