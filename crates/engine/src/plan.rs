use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{
    Digest, Error, ErrorKind, JobId, Omission, ResourceRef, Result, Snapshot, SnapshotId,
    SnapshotState,
};
use stillpoint_restore::{Plan, PlanBuilder};
use stillpoint_state::MAX_BATCH_KEYS;

use crate::action::Action;
use crate::instant::Instant;
use crate::request::{CustomRequest, Request};

/// Most claims of one job. Its last batch gives all of them back, ends its lease (3 keys), and
/// writes its record, its row, its place among the active ones, a snapshot with the audit, and
/// what it keeps (2).
const MOST_CLAIMS: usize = MAX_BATCH_KEYS - 10;

/// What a request will do, before it does it: to read, to store, to start.
///
/// It is bound to the world it was made for: [`start`](crate::Engine::start) refuses it where the
/// fingerprint of any of its [`targets`](Self::targets) has changed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct JobPlan {
    /// What was asked.
    pub request: Request,
    /// When it was made.
    pub made_at: Timestamp,
    /// The resources it was made for, as they were.
    pub targets: Vec<Bound>,
    /// Everything that stands in the way. It starts only where this is empty.
    pub blocked_by: Vec<String>,
    /// The diff: what will be different afterwards.
    pub changes: Vec<Change>,
    /// What the result will not hold.
    pub omitted: Vec<Omission>,
    /// What must not be touched by another job meanwhile.
    pub claims: Vec<Claim>,
    /// What becomes of the catalogue.
    pub effect: Effect,
    /// The steps; none where something stands in the way.
    pub steps: Option<Plan<Action>>,
}

/// A resource as it was when a plan was made for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Bound {
    /// The resource.
    pub resource: ResourceRef,
    /// Its fingerprint then.
    pub fingerprint: String,
}

/// One line of a plan's diff.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// This comes to be.
    Create(String),
    /// This will be gone.
    Delete(String),
    /// The bytes of this are replaced.
    Overwrite(String),
    /// This stops for a while.
    PowerOff(String),
}

/// Something that must not change under a job, or that it changes itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Claim {
    /// It changes this resource: no other job may touch it.
    Change(ResourceRef),
    /// It deletes this snapshot: no other job may use it.
    Delete(SnapshotId),
    /// It lists this snapshot, which comes from elsewhere: no other job may.
    Import(SnapshotId),
    /// It uses this snapshot: no job may delete it.
    Keep(SnapshotId),
    /// It counts on this snapshot, which has to be whole and verified when it begins: no job may
    /// delete it.
    KeepGood(SnapshotId),
    /// It reads this resource: no job may change it.
    Read(ResourceRef),
    /// It undoes or accepts this restore: no other job may.
    Settle(JobId),
}

/// What becomes of the catalogue: at the start, and at a good end.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// A snapshot is listed as being deleted, and then no more.
    Delete {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Its state before, which it has again where nothing is deleted.
        was: SnapshotState,
        /// The restore that kept it as its way back, and no longer does.
        releases: Option<JobId>,
    },
    /// A snapshot is listed as held by one more archive.
    Export {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The custom step whose output is the [`Delivered`] archive.
        step: String,
    },
    /// A snapshot that comes from an archive is listed, with the archive.
    Import {
        /// The entry; its job is set at the end.
        entry: Box<Snapshot>,
    },
    /// Nothing.
    None,
    /// A safety snapshot is listed, and kept by its restore until that is undone or accepted.
    Safeguard {
        /// The safety snapshot; its job and id are set at the start.
        entry: Box<Snapshot>,
        /// The steps that take its parts.
        steps: Vec<String>,
        /// The step that proves them.
        proof: Option<String>,
    },
    /// A snapshot is listed as being taken, and then as taken.
    Take {
        /// The entry; its job and id are set at the start.
        entry: Box<Snapshot>,
        /// Of how many instants its parts are.
        instant: Instant,
        /// The steps that take its parts.
        steps: Vec<String>,
        /// The step that proves them.
        proof: Option<String>,
    },
    /// The safety snapshot of a restore is used up.
    Undo {
        /// The restore.
        of: JobId,
        /// Its safety snapshot.
        safety: SnapshotId,
    },
}

/// An archive that was read back: what the step that [`Effect::Export`] names gives.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delivered {
    /// Where it is, as [`Exported::archive`](stillpoint_core::Exported::archive).
    pub archive: String,
    /// Bytes of the archive.
    pub size: u64,
    /// The root of its manifest.
    pub root: Digest,
    /// The content digests of the snapshot's parts, in their order.
    pub digests: Vec<Digest>,
}

impl JobPlan {
    /// The plan of a request of an embedder's own: these steps, or none where something stands in
    /// the way. What it changes, omits, claims and makes of the catalogue is added to it.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the steps make no valid plan.
    pub fn custom(
        request: &CustomRequest,
        made_at: Timestamp,
        steps: PlanBuilder<Action>,
        blocked_by: Vec<String>,
    ) -> Result<Self> {
        let steps = match blocked_by.is_empty() {
            true => Some(steps.build().map_err(|source| {
                let message = format!("{} was compiled to no valid plan", request.title);
                Error::new(ErrorKind::Internal, message)
                    .advise("Report the request and the reasons")
                    .because(source)
            })?),
            false => None,
        };
        Ok(Self {
            request: Request::Custom(request.clone()),
            made_at,
            targets: Vec::new(),
            blocked_by,
            changes: Vec::new(),
            omitted: Vec::new(),
            claims: Vec::new(),
            effect: Effect::None,
            steps,
        })
    }

    /// Blocks a plan of more claims than one batch could give back, or its job could never end.
    pub(crate) fn check_claims(&mut self) {
        if self.claims.len() > MOST_CLAIMS {
            self.blocked_by.push(format!(
                "it concerns {} volumes and snapshots, and {MOST_CLAIMS} are the most of one job; \
                 name fewer disks",
                self.claims.len()
            ));
            self.steps = None;
        }
    }

    /// The one error that names everything that stands in the way; none where nothing does.
    pub fn blocked(&self) -> Option<Error> {
        let (first, rest) = self.blocked_by.split_first()?;
        let error = rest
            .iter()
            .fold(Error::new(ErrorKind::Precondition, first), Error::reason);
        let error = error.advise("Mend what is named and plan again");
        Some(match self.targets.first() {
            Some(target) => error.on(target.resource.clone()),
            None => error,
        })
    }
}

impl fmt::Display for JobPlan {
    /// A page for a person: the request, the diff, what is left out, what blocks, the steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.request)?;
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        for omission in &self.omitted {
            writeln!(f, "  without {omission}")?;
        }
        for reason in &self.blocked_by {
            writeln!(f, "  blocked: {reason}")?;
        }
        match &self.steps {
            Some(steps) => write!(f, "{}", steps.tree()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(what) => write!(f, "+ {what}"),
            Self::Delete(what) => write!(f, "- {what}"),
            Self::Overwrite(what) => write!(f, "~ {what}"),
            Self::PowerOff(what) => write!(f, "! {what} is powered off meanwhile"),
        }
    }
}
