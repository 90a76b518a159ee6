use std::time::Duration;

use jiff::Timestamp;
use stillpoint_core::{Error, Progress, ResourceRef};

use crate::output::Output;

/// What a provider knows of an operation when asked by its key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Observation {
    /// There is no trace of it. Whether it may still appear is a matter of
    /// [`Identity`](crate::Identity)'s settle time, which the caller waits for.
    Absent,
    /// It was cancelled, and will not go on.
    Cancelled {
        /// What it left behind.
        left: Vec<ResourceRef>,
    },
    /// It happened.
    Done {
        /// What it brought about.
        output: Output,
        /// Further things that carry the same key: a submit that was repeated, or came late.
        /// The caller removes them.
        twins: Vec<ResourceRef>,
    },
    /// It failed, and will not go on.
    Failed {
        /// Why; its `retry` says whether another attempt makes sense.
        error: Error,
        /// What it left behind, so that undo is never blind.
        left: Vec<ResourceRef>,
    },
    /// It goes on.
    Running {
        /// How far it is, where the provider says so.
        progress: Option<Progress>,
        /// When to ask again.
        look_again_in: Duration,
    },
    /// The system cannot tell, or not yet.
    Unknown {
        /// When it could tell at the latest; none: never.
        settles_at: Option<Timestamp>,
        /// What was seen, for a person.
        evidence: String,
    },
}
