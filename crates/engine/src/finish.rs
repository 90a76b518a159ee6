//! What the end of a job makes of the catalogue, the claims and the job's row: one batch.

mod copies;

use jiff::Timestamp;
use stillpoint_core::{
    Capture, CopyKind, JobId, Omission, OmissionReason, Part, Result, Snapshot, SnapshotState,
    Verified, VerifyLevel,
};
use stillpoint_iaas::Output;
use stillpoint_restore::{Machine, Outcome};
use stillpoint_state::catalogue::Author;
use stillpoint_state::claims::Subject;
use stillpoint_state::{Batch, Guard};

use crate::action::{Action, Outputs, StepOutput};
use crate::executor::Captured;
use crate::instant::Instant;
use crate::job::Job;
use crate::plan::{Claim, Effect, JobPlan};
use crate::store::{Hold, Store};

/// A job at its end.
pub(crate) struct Ending<'a> {
    pub(crate) store: &'a Store,
    pub(crate) plan: &'a JobPlan,
    pub(crate) machine: &'a Machine<Action, StepOutput>,
    pub(crate) outcome: &'a Outcome,
    pub(crate) at: Timestamp,
}

impl Ending<'_> {
    /// Adds everything to the batch, and completes the job's row.
    pub(crate) async fn add(&self, batch: &mut Batch, job: &mut Job) -> Result<()> {
        job.outcome = Some(self.outcome.clone());
        if matches!(self.outcome, Outcome::NeedsIntervention { .. }) {
            // Everything stays claimed and listed as it is until a person has looked.
            return self.store.put_job(batch, Guard::Any, job, false);
        }
        job.ended_at = Some(self.at);
        self.store.unclaim(batch, self.plan, job.id).await?;
        let author = self.author(job.id);
        match &self.plan.effect {
            Effect::Delete {
                snapshot,
                was,
                releases,
            } => {
                let row = self.store.catalogue.get(*snapshot).await?;
                let left = match was {
                    // Its provider has nothing of it.
                    SnapshotState::Archived if self.good() => Vec::new(),
                    SnapshotState::Archived => row.snapshot.parts.clone(),
                    _ => self.parts_left(&row.snapshot),
                };
                if self.good() && left.is_empty() {
                    author.remove(batch, &row)?;
                    if let Some(restore) = releases {
                        self.release(batch, *restore, *snapshot).await?;
                    }
                } else {
                    let all = left.len() == row.snapshot.parts.len();
                    let mut to = row.snapshot.clone();
                    to.state = if all { *was } else { SnapshotState::Partial };
                    // A copy of what is left is to say that it is not all.
                    let gone = to.parts.iter().filter(|part| !left.contains(part));
                    to.omitted.extend(gone.map(|part| Omission {
                        what: format!("disk `{}`", part.disk),
                        reason: OmissionReason::Deleted,
                    }));
                    to.parts = left;
                    author.update(batch, &row, &to)?;
                    self.unsettle(batch).await?;
                }
            }
            Effect::Export { snapshot, step } if self.good() => {
                self.exported(batch, job, *snapshot, step).await?;
            }
            Effect::Import { entry } if self.good() => self.imported(batch, job, entry).await?,
            Effect::Safeguard {
                entry,
                steps,
                proof,
            } if self.good() => {
                let mut entry = (**entry).clone();
                if let Some(id) = job.snapshot {
                    entry.id = id;
                }
                entry.job = job.id;
                let instant = Instant::of(entry.parts.len(), steps.len());
                self.complete(&mut entry, instant, steps, proof.as_deref());
                author.insert(batch, &entry)?;
                let kept = Subject::Snapshot(entry.id);
                self.store.claims.take(batch, &kept, job.id).await?;
                let hold = Hold {
                    safety: entry.id,
                    settled_by: None,
                };
                self.store
                    .put_hold(batch, job.id, Guard::Absent, Some(&hold))?;
            }
            Effect::Take {
                entry,
                instant,
                steps,
                proof,
            } => {
                let taken = job.snapshot.unwrap_or(entry.id);
                let row = self.store.catalogue.get(taken).await?;
                if self.good() {
                    let mut to = row.snapshot.clone();
                    self.complete(&mut to, *instant, steps, proof.as_deref());
                    author.update(batch, &row, &to)?;
                } else {
                    author.remove(batch, &row)?;
                }
            }
            Effect::Undo { of, safety } if self.good() => {
                let row = self.store.catalogue.get(*safety).await?;
                author.remove(batch, &row)?;
                self.release(batch, *of, *safety).await?;
            }
            Effect::Export { .. }
            | Effect::Import { .. }
            | Effect::None
            | Effect::Safeguard { .. } => {}
            Effect::Undo { .. } => self.unsettle(batch).await?,
        }
        if !self.good() {
            job.snapshot = None;
        }
        if matches!(self.plan.effect, Effect::None) && self.good() {
            job.made = self.made();
        }
        self.store.put_job(batch, Guard::Any, job, false)
    }

    /// Who changes the catalogue: the job.
    fn author(&self, job: JobId) -> Author {
        self.store.catalogue.by(job.to_string(), self.at)
    }

    fn good(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Completed
                | Outcome::CompletedWithWarnings { .. }
                | Outcome::PartiallyFailed { .. }
        )
    }

    /// The parts whose delete step is not done.
    fn parts_left(&self, snapshot: &Snapshot) -> Vec<Part> {
        let parts = snapshot.parts.iter().enumerate();
        parts
            .filter(|(number, _)| {
                Outputs::output(self.machine, &format!("delete/{number}")).is_none()
            })
            .map(|(_, part)| part.clone())
            .collect()
    }

    /// The snapshot with all that its steps have confirmed and proven.
    fn complete(
        &self,
        snapshot: &mut Snapshot,
        instant: Instant,
        steps: &[String],
        proof: Option<&str>,
    ) {
        let proof = match proof.and_then(|step| Outputs::output(self.machine, step)) {
            Some(StepOutput::Proof(proof)) => Some(proof),
            _ => None,
        };
        let mut parts = snapshot.parts.iter_mut();
        for step in steps {
            match Outputs::output(self.machine, step) {
                Some(StepOutput::Operation(Output::Snapshot(taken))) => {
                    for (had, part) in taken.parts.iter().zip(parts.by_ref()) {
                        part.snapshot = had.snapshot.clone();
                        part.size = had.size;
                        part.copy = had.copy;
                    }
                    let record = &mut snapshot.consistency;
                    let together = instant.together(taken.consistency, taken.capture);
                    record.reached = Some(match record.reached {
                        Some(level) => level.min(together),
                        None => together,
                    });
                    record.capture = match record.capture {
                        Some(Capture::Live) => Some(Capture::Live),
                        _ => Some(taken.capture),
                    };
                    snapshot.memory = taken.memory;
                    snapshot.taken_at = snapshot.taken_at.max(Some(taken.taken_at));
                }
                Some(StepOutput::Custom(value)) => {
                    let captured = Captured::read(value);
                    snapshot.taken_at = captured.taken_at.or(Some(snapshot.created_at));
                    if captured.verified {
                        snapshot.verified = Some(Verified {
                            level: VerifyLevel::ReadBack,
                            at: self.at,
                        });
                    }
                }
                Some(StepOutput::Operation(Output::Created(image))) => {
                    if let Some(part) = parts.next() {
                        part.snapshot = image.clone();
                        part.copy = CopyKind::Full;
                    }
                    self.complete_image(snapshot);
                    break;
                }
                _ => {}
            }
        }
        if let Some(proof) = proof {
            snapshot.verified = Some(Verified {
                level: proof.level,
                at: self.at,
            });
            for (part, digest) in snapshot.parts.iter_mut().zip(&proof.digests) {
                part.digest = Some(*digest);
            }
        }
        snapshot.state = SnapshotState::Taken;
    }

    /// An image holds the point in time of the snapshot it was made from.
    fn complete_image(&self, snapshot: &mut Snapshot) {
        if let Some(StepOutput::Operation(Output::Snapshot(taken))) =
            Outputs::output(self.machine, "snapshot/0")
        {
            snapshot.consistency.reached = Some(taken.consistency);
            snapshot.consistency.capture = Some(taken.capture);
            snapshot.taken_at = Some(taken.taken_at);
        }
    }

    /// What a restore to something new made for its caller, the instance first.
    fn made(&self) -> Vec<stillpoint_core::ResourceRef> {
        let steps = self.machine.plan().steps().iter().rev();
        let outputs = steps.filter_map(|step| Outputs::output(self.machine, step.name.as_str()));
        outputs.flat_map(StepOutput::resources).collect()
    }

    /// The restore keeps its safety snapshot no longer.
    async fn release(
        &self,
        batch: &mut Batch,
        restore: JobId,
        safety: stillpoint_core::SnapshotId,
    ) -> Result<()> {
        let (_, version) = self.store.hold(restore).await?;
        self.store
            .put_hold(batch, restore, Guard::At(version), None)?;
        self.store
            .claims
            .release(batch, &Subject::Snapshot(safety), restore)
            .await
    }

    /// The restore may be undone or accepted by another job again.
    async fn unsettle(&self, batch: &mut Batch) -> Result<()> {
        for claim in &self.plan.claims {
            if let Claim::Settle(restore) = claim {
                let (mut hold, version) = self.store.hold(*restore).await?;
                hold.settled_by = None;
                self.store
                    .put_hold(batch, *restore, Guard::At(version), Some(&hold))?;
            }
        }
        Ok(())
    }
}
