//! Whether a record can have happened: the gate in front of every change.

use jiff::Timestamp;

use super::{
    ApplyError, Machine, StopRefused,
    due::{Directive, Next},
    state::{At, Flow},
};
use crate::{Call, Event, Record, guard::guard};

impl<A, O> Machine<A, O> {
    /// Whether [`apply`](Self::apply) would take this record. Ask before making it durable.
    ///
    /// # Errors
    /// What `apply` would say.
    pub fn check(&self, record: &Record<O>) -> Result<(), ApplyError> {
        let at = record.at.max(self.state.clock);
        self.check_epoch(record)?;
        if let Some(call) = record.event.call()
            && self.slot(call).is_none()
        {
            return Err(ApplyError::UnknownCall {
                call: call.to_string(),
            });
        }
        match &record.event {
            Event::Abandoned { call } => self.check_directed(*call, at, Directive::Abandon(*call)),
            Event::Begun { call, attempt } => self.check_begun(*call, *attempt, at),
            Event::Cancelling { call } => self.check_directed(*call, at, Directive::Cancel(*call)),
            Event::Absent { call }
            | Event::Accepted { call, .. }
            | Event::Done { call, .. }
            | Event::Failed { call, .. }
            | Event::Lost { call }
            | Event::Unknown { call, .. } => self.check_in_flight(*call),
            Event::Recovered | Event::Warned { .. } => Ok(()),
            Event::Resumed if self.state.stuck == 0 => Err(ApplyError::NothingToResume),
            Event::Resumed => Ok(()),
            Event::StopRequested => Ok(self.can_stop()?),
        }
    }

    /// Whether a stop would be taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn can_stop(&self) -> Result<(), StopRefused> {
        if matches!(self.state.flow, Flow::Unwinding { .. }) {
            return Err(StopRefused::Unwinding);
        }
        if !guard!(self, NoStopPastPivot, permits: self.can_unwind())
            && let Some(pivot) = self.plan.order().pivot
        {
            return Err(StopRefused::PastPivot {
                pivot: self.plan.step(pivot).name.clone(),
            });
        }
        // One that waits for an operator can be told to go back when it is resumed.
        if self.state.stuck == 0 && self.finished() {
            return Err(StopRefused::Ended);
        }
        Ok(())
    }

    fn check_epoch(&self, record: &Record<O>) -> Result<(), ApplyError> {
        let (record_epoch, current) = (record.epoch, self.state.epoch);
        let recovered = matches!(record.event, Event::Recovered);
        if guard!(self, StaleRefused, demands: record_epoch < current) {
            Err(ApplyError::Stale {
                record: record_epoch,
                current,
            })
        } else if recovered == (record_epoch <= current) {
            Err(ApplyError::Unannounced {
                record: record_epoch,
                current,
            })
        } else {
            Ok(())
        }
    }

    fn check_begun(&self, call: Call, attempt: u32, at: Timestamp) -> Result<(), ApplyError> {
        let name = || self.plan.describe(call);
        let Some(slot) = self.slot(call) else {
            return Ok(());
        };
        let At::Idle { from } = slot.at else {
            let reason = "it has begun or is over";
            return Err(ApplyError::NotReady {
                call: name(),
                reason,
            });
        };
        let expected = slot.attempt + 1;
        if attempt != expected {
            return Err(ApplyError::WrongAttempt {
                call: name(),
                attempt,
                expected,
            });
        }
        if from > at {
            return Err(ApplyError::TooEarly { call: name(), from });
        }
        self.may_begin(call).map_err(|reason| ApplyError::NotReady {
            call: name(),
            reason,
        })
    }

    fn check_directed(
        &self,
        call: Call,
        at: Timestamp,
        directive: Directive,
    ) -> Result<(), ApplyError> {
        if self.next(call, at) == Next::Now(directive) {
            return Ok(());
        }
        let what = if matches!(directive, Directive::Cancel(_)) {
            "cancelled"
        } else {
            "abandoned"
        };
        Err(ApplyError::NotDirected {
            call: self.plan.describe(call),
            what,
        })
    }

    fn check_in_flight(&self, call: Call) -> Result<(), ApplyError> {
        if self.in_flight(call) {
            return Ok(());
        }
        Err(ApplyError::NotInFlight {
            call: self.plan.describe(call),
        })
    }
}
