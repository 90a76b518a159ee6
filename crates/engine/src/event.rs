use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{JobId, Progress};
use stillpoint_restore::{Outcome, Phase};

/// Something that happened to a job, for whoever listens.
///
/// Durable events are sent after they are durable. A listener that lags loses the oldest; the
/// journal has all but the progress.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct JobEvent {
    /// When.
    pub at: Timestamp,
    /// The job.
    pub job: JobId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// It is over, or waits for a person.
    Ended {
        /// How.
        outcome: Outcome,
    },
    /// It is further than before. Not durable.
    Progress {
        /// Of the whole job: bytes where its steps move bytes, else steps.
        progress: Progress,
    },
    /// A call of its plan is in a new state.
    Step {
        /// The call in the plan's names, such as `do snapshot/0`.
        call: String,
        /// `begun`, `done`, `failed` and so on: the name of the journal's record.
        became: String,
        /// The phase the job is in now.
        phase: Phase,
    },
    /// It is durable, and will be driven.
    Started,
}
