use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, ErrorReport, JobId, ResourceRef, SnapshotId, World};
use stillpoint_restore::Outcome;

use crate::request::Request;

/// A piece of durable work, as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What was asked.
    pub request: Request,
    /// The resources it is about.
    pub resources: Vec<ResourceRef>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended; none while it goes on or waits for a person.
    pub ended_at: Option<Timestamp>,
    /// How it ended, or why it waits for a person.
    pub outcome: Option<Outcome>,
    /// What went wrong, if anything did.
    pub error: Option<ErrorReport>,
    /// The snapshot it takes, or the safety snapshot it keeps.
    pub snapshot: Option<SnapshotId>,
    /// The resources it made for its caller: instances, volumes, images.
    pub made: Vec<ResourceRef>,
}

/// Which jobs to list. The default is all of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct JobQuery {
    /// Only those about this resource.
    pub resource: Option<ResourceRef>,
    /// Only those that go on, or wait for a person.
    pub unfinished: bool,
}

impl Job {
    /// Whether nothing more will happen to it.
    pub fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Whether all that was asked is done, perhaps with warnings.
    pub fn is_good(&self) -> bool {
        matches!(
            self.outcome,
            Some(Outcome::Completed | Outcome::CompletedWithWarnings { .. })
        )
    }

    /// Itself where all that was asked is done, and else the error that says what was not.
    ///
    /// # Errors
    ///
    /// The error of the call that failed, with what became of the world; for a job that waits
    /// for a person [`ErrorKind::NeedsIntervention`]; for a stopped one [`ErrorKind::Cancelled`].
    pub fn into_result(self) -> stillpoint_core::Result<Self> {
        let Some(outcome) = &self.outcome else {
            let error = Error::new(ErrorKind::Busy, format!("job {} is not over", self.id));
            return Err(error.advise("Wait for it"));
        };
        let (kind, world) = match outcome {
            Outcome::Completed | Outcome::CompletedWithWarnings { .. } => return Ok(self),
            Outcome::Cancelled { untouched: true } => (ErrorKind::Cancelled, World::Untouched),
            Outcome::Cancelled { untouched: false } => (ErrorKind::Cancelled, World::RolledBack),
            Outcome::Failed { .. } | Outcome::FailedValidation { .. } => {
                (ErrorKind::Unavailable, World::Untouched)
            }
            Outcome::RolledBack { .. } => (ErrorKind::Unavailable, World::RolledBack),
            Outcome::PartiallyFailed { .. } => (ErrorKind::Unavailable, World::Changed),
            _ => (ErrorKind::NeedsIntervention, World::Unknown),
        };
        let error = match (&self.error, kind) {
            (Some(report), ErrorKind::Unavailable) => Error::from(report.clone()),
            _ => Error::new(kind, format!("job {} {outcome}", self.id)),
        };
        Err(error.leaving(world))
    }
}

impl JobQuery {
    pub(crate) fn matches(&self, job: &Job) -> bool {
        self.resource
            .as_ref()
            .is_none_or(|it| job.resources.contains(it))
            && !(self.unfinished && job.is_over())
    }
}
