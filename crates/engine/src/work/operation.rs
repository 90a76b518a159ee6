use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{Error, ErrorKind, ResourceRef, Result, Retry, World};
use stillpoint_iaas::{Observation, Operation, OperationKey, Provider, Ticket};
use stillpoint_restore::{Call, Event};

use super::{Begun, Learned, Line, Workshop};
use crate::action::StepOutput;
use crate::clock::{Clock, within};
use crate::gate::{Gate, Turn};
use crate::planning::find;

/// How long to wait when a question could not be asked: this, doubled up to [`SLOWEST`].
const SLOW: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(30);

/// An operation of a provider.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    provider: Arc<dyn Provider>,
    operation: Operation,
    gate: Arc<Gate>,
}

impl Ask {
    pub(crate) async fn new(
        workshop: &Workshop,
        provider: &str,
        operation: Operation,
    ) -> Result<Self> {
        let gate = workshop.gate(provider).await?;
        let provider = Arc::clone(find(&workshop.providers, provider)?);
        Ok(Self {
            provider,
            operation,
            gate,
        })
    }

    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// Submits. A refusal for coming too fast is no failure: it waits and goes again.
    pub(crate) async fn begin(
        &self,
        key: &OperationKey,
        turn: &mut Turn,
        clock: &dyn Clock,
    ) -> Begun {
        loop {
            let sent = turn.come().await;
            let submit = self.provider.submit(key, &self.operation);
            let error = match within(clock, self.gate.call_timeout(), submit).await {
                Some(Ok(ticket)) => {
                    sent.taken();
                    return Begun::Accepted(Some(ticket));
                }
                Some(Err(error)) => error,
                None => return Begun::Lost(self.no_reply()),
            };
            match (error.world(), error.kind(), error.retry()) {
                (World::Untouched, ErrorKind::RateLimited, Retry::After(wait)) => {
                    sent.refused(Some(wait));
                }
                (World::Untouched, ErrorKind::RateLimited, _) => sent.refused(None),
                (World::Untouched | World::RolledBack, ..) => return Begun::Failed(error),
                _ => return Begun::Lost(error),
            }
        }
    }

    /// Asks, as often as the provider wants to be asked, until it knows the end.
    pub(crate) async fn watch(
        &self,
        call: Call,
        key: &OperationKey,
        ticket: Option<Ticket>,
        line: &Line,
        clock: &dyn Clock,
    ) -> Learned {
        let mut slow = SLOW;
        loop {
            let observe = self.provider.observe(key, &self.operation, ticket.as_ref());
            let observed = match within(clock, self.gate.call_timeout(), observe).await {
                Some(Ok(observed)) => observed,
                Some(Err(error)) => {
                    tracing::debug!(%key, %error, "could not observe");
                    let wait = match error.retry() {
                        Retry::After(wait) => wait.max(slow),
                        _ => slow,
                    };
                    clock.sleep(wait).await;
                    slow = (slow * 2).min(SLOWEST);
                    continue;
                }
                None => {
                    clock.sleep(slow).await;
                    slow = (slow * 2).min(SLOWEST);
                    continue;
                }
            };
            slow = SLOW;
            match observed {
                Observation::Running {
                    progress,
                    look_again_in,
                } => {
                    if let Some(progress) = progress {
                        (line.progress)(progress);
                    }
                    clock.sleep(look_again_in).await;
                }
                over => return self.learned(call, over, clock.now()),
            }
        }
    }

    /// Asks once for it to be stopped; a request that is lost is made up for by the deadline.
    pub(crate) async fn cancel(&self, key: &OperationKey, ticket: Option<Ticket>) {
        if let Err(error) = self
            .provider
            .cancel(key, &self.operation, ticket.as_ref())
            .await
        {
            tracing::warn!(%key, %error, "could not cancel");
        }
    }

    fn learned(&self, call: Call, observed: Observation, now: Timestamp) -> Learned {
        match observed {
            Observation::Absent => Learned {
                event: Event::Absent { call },
                error: None,
            },
            Observation::Cancelled { left } => {
                let error = Error::new(ErrorKind::Cancelled, "it was stopped")
                    .retry_with(Retry::After(Duration::ZERO));
                Learned::failed(call, error, left)
            }
            Observation::Done { output, twins } => {
                let twins = twins
                    .into_iter()
                    .map(|twin| StepOutput::Left(vec![twin]))
                    .collect();
                Learned::done(call, StepOutput::Operation(output), twins)
            }
            Observation::Failed { error, left } => Learned::failed(call, error, left),
            Observation::Unknown {
                settles_at,
                evidence,
            } => {
                let settles_at = settles_at.unwrap_or(now);
                Learned {
                    event: Event::Unknown {
                        call,
                        evidence,
                        settles_at,
                    },
                    error: None,
                }
            }
            // A kind of observation that this engine does not know tells it nothing.
            other => {
                let evidence = format!("{other:?}");
                let settles_at = now
                    .saturating_add(SignedDuration::from_secs(1))
                    .unwrap_or(now);
                Learned {
                    event: Event::Unknown {
                        call,
                        evidence,
                        settles_at,
                    },
                    error: None,
                }
            }
        }
    }

    fn no_reply(&self) -> Error {
        let message = format!(
            "no reply within {:?} to: {}",
            self.gate.call_timeout(),
            self.operation
        );
        Error::new(ErrorKind::Timeout, message).leaving(World::Unknown)
    }
}

/// The operation that deletes a resource, whatever it is.
pub(crate) fn deletion(resource: ResourceRef) -> Result<Operation> {
    use stillpoint_core::ResourceKind as Kind;
    Ok(match resource.kind() {
        Kind::Image => Operation::DeleteImage { image: resource },
        Kind::Instance => Operation::DeleteInstance { instance: resource },
        Kind::Snapshot => Operation::DeleteSnapshot { snapshot: resource },
        Kind::Volume => Operation::DeleteVolume { volume: resource },
        kind => {
            let message = format!("nothing is known that deletes a {kind}");
            return Err(Error::new(ErrorKind::Internal, message).on(resource));
        }
    })
}
