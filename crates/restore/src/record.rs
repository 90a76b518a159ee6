//! What a journal holds: one record for each thing that was decided or learned.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Call;

/// One entry of a job's journal.
///
/// `O` is what calls give back: an id, a digest, whatever the driver needs later. The machine keeps it and never looks inside.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Record<O> {
    /// When it happened, by the driver's clock. The machine never lets its own time go back: an earlier time counts as the latest one it has seen.
    pub at: Timestamp,
    /// Which driver wrote it: the epoch of its lease. Only [`Event::Recovered`] may raise it; a lower one is refused.
    pub epoch: u64,
    /// What happened.
    pub event: Event<O>,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<O> {
    /// [`Directive::Abandon`](crate::Directive::Abandon) was followed: the call's time is over and nobody waits for it any longer.
    Abandoned {
        /// Which call.
        call: Call,
    },
    /// Observed: no trace of the call, neither running nor done. Before its settle time is over this says little, and the machine will have it observed again.
    Absent {
        /// Which call.
        call: Call,
    },
    /// The system took the call and named it. Optional; it helps to observe it later.
    Accepted {
        /// Which call.
        call: Call,
        /// The system's own name for the running operation.
        ticket: String,
    },
    /// The call is about to be made. Durable *before* the effect may start.
    Begun {
        /// Which call.
        call: Call,
        /// Which attempt, from 1. It must be the one that the machine expects: [`Machine::attempt`](crate::Machine::attempt).
        attempt: u32,
    },
    /// The call is about to be cancelled. Durable before the cancel; afterwards the call is observed.
    Cancelling {
        /// Which call.
        call: Call,
    },
    /// The call took effect, replied or observed.
    Done {
        /// Which call.
        call: Call,
        /// What it gave back.
        output: O,
        /// Further effects found under the same key. The machine has each removed.
        #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
        twins: Vec<O>,
    },
    /// The call failed, replied or observed.
    Failed {
        /// Which call.
        call: Call,
        /// How.
        failure: Failure<O>,
    },
    /// No reply: timed out, connection lost. It may have taken effect and may still do so.
    Lost {
        /// Which call.
        call: Call,
    },
    /// A driver took the job over (also the first one). The record's epoch is its own; everything in flight is unsure from here on.
    Recovered,
    /// An operator looked at what needed intervention and says: observe again and go on.
    Resumed,
    /// Somebody asks the job to stop. Before the pivot it unwinds; after that the record is refused.
    StopRequested,
    /// Observed, but the system could not tell.
    Unknown {
        /// Which call.
        call: Call,
        /// What was seen, for the operator.
        evidence: String,
        /// When the system should be able to tell. The first one given in a row counts.
        settles_at: Timestamp,
    },
    /// Something worth telling that stops nothing: the job completes with warnings.
    Warned {
        /// What to tell.
        message: String,
    },
}

impl<O> Event<O> {
    /// The call it is about, if it is about one.
    pub fn call(&self) -> Option<Call> {
        match self {
            Self::Abandoned { call }
            | Self::Absent { call }
            | Self::Accepted { call, .. }
            | Self::Begun { call, .. }
            | Self::Cancelling { call }
            | Self::Done { call, .. }
            | Self::Failed { call, .. }
            | Self::Lost { call }
            | Self::Unknown { call, .. } => Some(*call),
            Self::Recovered | Self::Resumed | Self::StopRequested | Self::Warned { .. } => None,
        }
    }
}

/// How a call failed.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Failure<O> {
    /// What the attempt left behind.
    pub left: Left<O>,
    /// What went wrong, for a person. No secrets: it is kept in the journal.
    pub message: String,
    /// Whether another attempt may help.
    pub retry: Retryable,
}

/// What a failed attempt left behind.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Left<O> {
    /// Proven: nothing.
    Nothing,
    /// This, which has to be removed. (Of an undo, a sweep or a release: part of it is still to do.)
    Something(O),
    /// Nobody knows yet: it has to be observed.
    Unknown,
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retryable {
    /// Yes, but not before this long; the plan's own backoff counts too. Zero where the system said nothing.
    After(SignedDuration),
    /// No: it would fail the same way.
    Never,
}
