//! Why a record was refused.

use jiff::Timestamp;
use thiserror::Error;

use crate::Name;

/// A record can't have happened here. The machine is as it was.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ApplyError {
    /// The call can't begin here: what it needs is not there, or it is over.
    #[error("{call} can't begin now: {reason}; begin only what `ready` says")]
    NotReady {
        /// The call, in the plan's names.
        call: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The call can't be cancelled or abandoned here.
    #[error("{call} is not to be {what} now; follow only what `ready` says")]
    NotDirected {
        /// The call, in the plan's names.
        call: String,
        /// `cancelled` or `abandoned`.
        what: &'static str,
    },
    /// A reply to a call that is not in flight.
    #[error("{call} is not in flight, so nothing can be learned about it; drop the reply")]
    NotInFlight {
        /// The call, in the plan's names.
        call: String,
    },
    /// Nothing waits for an operator.
    #[error("nothing waits for an operator, so there is nothing to resume")]
    NothingToResume,
    /// The wait before another attempt is not over.
    #[error("{call} may begin again at {from}, not before; ask `wakeup`")]
    TooEarly {
        /// The call, in the plan's names.
        call: String,
        /// From when on.
        from: Timestamp,
    },
    /// A driver with a lower epoch than the machine's.
    #[error(
        "the record is of epoch {record}, but the driver of epoch {current} has taken over; stop driving this job"
    )]
    Stale {
        /// The record's epoch.
        record: u64,
        /// The machine's.
        current: u64,
    },
    /// The job can't be stopped.
    #[error(transparent)]
    StopRefused(#[from] StopRefused),
    /// A driver that did not announce itself, or announced itself again.
    #[error(
        "the record is of epoch {record}, the machine is in epoch {current}; a driver begins with a Recovered record of an epoch higher than all before"
    )]
    Unannounced {
        /// The record's epoch.
        record: u64,
        /// The machine's.
        current: u64,
    },
    /// A call that the plan does not have.
    #[error("{call} is not in this plan; the record is of another job, or damaged")]
    UnknownCall {
        /// The call, in numbers.
        call: String,
    },
    /// Another attempt than the expected one.
    #[error(
        "{call} is at attempt {expected}, not {attempt}; a record is missing, or was written twice"
    )]
    WrongAttempt {
        /// The call, in the plan's names.
        call: String,
        /// The record's.
        attempt: u32,
        /// The machine's.
        expected: u32,
    },
}

/// Why a job can't be stopped.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StopRefused {
    /// It is over.
    #[error("the job is over, there is nothing to stop; undo it with a job of its own")]
    Ended,
    /// It has begun what can't be taken back.
    #[error(
        "{pivot} has begun and can't be taken back: from here the job only goes forward; let it end"
    )]
    PastPivot {
        /// The pivot.
        pivot: Name,
    },
    /// It is on its way back.
    #[error("the job is unwinding already; wait for its end")]
    Unwinding,
}

/// A journal does not fit its plan.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("record {number} (from 0) of the journal does not fit: {source}")]
pub struct ReplayError {
    /// Which record, from 0.
    pub number: usize,
    /// Why.
    pub source: ApplyError,
}
