//! The durable side of a driver: nothing is done before it is written down.

use std::sync::PoisonError;

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, ErrorReport, Result};
use stillpoint_iaas::Output;
use stillpoint_restore::{Event, Failure, Left, Outcome, Retryable};
use stillpoint_state::Batch;
use stillpoint_state::lease::Leases;

use super::{Driver, LEASE};
use crate::action::StepOutput;
use crate::event::What;
use crate::finish::Ending;
use crate::plan::Effect;
use crate::shared::lock;
use crate::store::{ATTEMPTS, Logged, encode};
use crate::work::Learned;

impl Driver {
    /// Takes an event into the machine and makes it durable; the last one of a job together with
    /// all that its end means.
    pub(super) async fn record(
        &mut self,
        event: Event<StepOutput>,
        error: Option<Error>,
    ) -> Result<()> {
        self.record_at(self.now(), event, error).await
    }

    /// The same, for what is only legal from some time on: `at` is when that was asked.
    pub(super) async fn record_at(
        &mut self,
        at: Timestamp,
        event: Event<StepOutput>,
        error: Option<Error>,
    ) -> Result<()> {
        let record = self.at(at, event);
        self.machine.apply(&record).map_err(|refused| {
            Error::new(
                ErrorKind::Internal,
                format!("job {} refused its own record", self.id),
            )
            .because(refused)
        })?;
        let error = error.map(|error| error.to_report());
        let call = record.event.call();
        if let (Some(call), Some(error)) = (call, &error) {
            self.errors.insert(call, error.clone());
        }
        let outcome = self.machine.outcome().filter(|_| !self.resuming);
        let logged = Logged { record, error };
        let bytes = encode(&logged)?;
        self.commit(&bytes, outcome.as_ref()).await?;
        self.seq += 1;
        self.announce(&logged.record.event, outcome);
        Ok(())
    }

    async fn commit(&mut self, bytes: &[u8], outcome: Option<&Outcome>) -> Result<()> {
        let store = &self.shared.store;
        let journal = store.journal(self.id);
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            journal.append(&mut batch, &self.lease, self.seq, bytes);
            if let Some(outcome) = outcome {
                let mut job = store.job(self.id).await?.job;
                job.error = self.cause(outcome);
                let ending = Ending {
                    store,
                    plan: &self.plan,
                    machine: &self.machine,
                    outcome,
                    at: self.shared.clock.now(),
                };
                ending.add(&mut batch, &mut job).await?;
                if job.ended_at.is_some() {
                    self.lease.end(&mut batch);
                }
            }
            match store.state.commit(batch).await {
                // Somebody renamed a snapshot or released a claim meanwhile: look again.
                Err(error)
                    if outcome.is_some()
                        && error.kind() == ErrorKind::Conflict
                        && !self.lease.is_lost(&error) => {}
                other => return other.map(|_| ()),
            }
        }
        Err(
            Error::new(ErrorKind::Busy, format!("job {} cannot end", self.id))
                .advise("Others change its rows all the time; find out who"),
        )
    }

    /// The whole error of the call that an outcome blames.
    fn cause(&self, outcome: &Outcome) -> Option<ErrorReport> {
        let call = match outcome {
            Outcome::Failed { cause }
            | Outcome::FailedValidation { cause }
            | Outcome::RolledBack { cause } => cause.call,
            Outcome::NeedsIntervention { troubles, .. } => troubles.first()?.call,
            Outcome::PartiallyFailed { items, .. } => items.first()?.call,
            _ => return None,
        };
        self.errors.get(&call).cloned()
    }

    fn announce(&self, event: &Event<StepOutput>, outcome: Option<Outcome>) {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = None;
        if let Some(call) = event.call() {
            let step = What::Step {
                call: self.machine.plan().describe(call),
                became: became(event).to_owned(),
                phase: self.machine.phase(),
            };
            self.shared.tell(self.id, step);
            if matches!(event, Event::Done { .. }) {
                moved = meter.done(call);
            }
        }
        if let Some(Outcome::Completed | Outcome::CompletedWithWarnings { .. }) = outcome {
            moved = meter.finish().or(moved);
        }
        if let Some(progress) = moved {
            self.shared.tell(self.id, What::Progress { progress });
        }
        if let Some(outcome) = outcome {
            lock(&self.shared.meters).remove(&self.id);
            self.shared.tell(self.id, What::Ended { outcome });
        }
    }

    /// A snapshot below the demanded consistency is a failed one, whatever the provider thinks.
    pub(super) fn check_consistency(
        &self,
        call: stillpoint_restore::Call,
        learned: Learned,
    ) -> Learned {
        let Effect::Take { entry, instant, .. } = &self.plan.effect else {
            return learned;
        };
        let demanded = entry.consistency.demanded;
        let Event::Done { output, .. } = &learned.event else {
            return learned;
        };
        let StepOutput::Operation(Output::Snapshot(taken)) = output else {
            return learned;
        };
        let reached = instant.together(taken.consistency, taken.capture);
        if reached >= demanded {
            return learned;
        }
        let error = Error::new(
            ErrorKind::Precondition,
            format!("{demanded} asked, {reached} reached"),
        )
        .on(entry.source.clone())
        .advise(format!(
            "Ask at_least({reached}), or have the guest take part"
        ));
        let failure = Failure {
            left: Left::Something(output.clone()),
            message: error.message().to_owned(),
            retry: Retryable::Never,
        };
        Learned {
            event: Event::Failed { call, failure },
            error: Some(error),
        }
    }

    pub(super) async fn renew_if_due(&mut self) -> Result<()> {
        if self.lease.remaining(self.shared.clock.now()) > LEASE / 2 {
            return Ok(());
        }
        self.renew().await
    }

    pub(super) async fn renew(&mut self) -> Result<()> {
        let leases = Leases::new(self.shared.store.state.clone());
        self.lease = leases
            .renew(&self.lease, self.shared.clock.now(), LEASE)
            .await?;
        Ok(())
    }

    /// Gives the job up, so that whoever is next need not wait.
    pub(super) async fn release(self) -> Result<()> {
        Leases::new(self.shared.store.state.clone())
            .release(self.lease)
            .await
    }
}

fn became(event: &Event<StepOutput>) -> &'static str {
    match event {
        Event::Abandoned { .. } => "abandoned",
        Event::Absent { .. } => "absent",
        Event::Accepted { .. } => "accepted",
        Event::Begun { .. } => "begun",
        Event::Cancelling { .. } => "cancelling",
        Event::Done { .. } => "done",
        Event::Failed { .. } => "failed",
        Event::Lost { .. } => "lost",
        _ => "unknown",
    }
}
