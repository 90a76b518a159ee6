//! What is durable of a job beside its journal, and the batches that begin and end one.

use std::sync::Arc;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, ErrorReport, JobId, Result, SnapshotId, SnapshotState};
use stillpoint_restore::Record;
use stillpoint_state::catalogue::Catalogue;
use stillpoint_state::claims::{Claims, Subject};
use stillpoint_state::journal::Journal;
use stillpoint_state::{Batch, Entry, Guard, MAX_BATCH_KEYS, Revision, State, StateExt};

use crate::action::StepOutput;
use crate::job::{Job, JobQuery};
use crate::plan::{Claim, Effect, JobPlan};

const ACTIVE: &str = "active/";
const JOBS: &str = "jobs/";
const ONCE: &str = "once/";

/// How often a batch that others interfere with is built anew.
pub(crate) const ATTEMPTS: usize = 16;

/// The durable side of all jobs.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) state: Arc<dyn State>,
    pub(crate) catalogue: Catalogue,
    pub(crate) claims: Claims,
}

/// A record of the machine, and the whole error that it tells of.
#[derive(Deserialize, Serialize)]
pub(crate) struct Logged {
    #[serde(flatten)]
    pub(crate) record: Record<StepOutput>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorReport>,
}

/// What a finished restore in place keeps so that it can be undone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Hold {
    pub(crate) safety: SnapshotId,
    /// The job that undoes or accepts it right now.
    pub(crate) settled_by: Option<JobId>,
}

/// A stored job, with the version its change is guarded by.
pub(crate) struct JobRow {
    pub(crate) job: Job,
    pub(crate) version: Revision,
}

impl Store {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        let catalogue = Catalogue::new(Arc::clone(&state));
        let claims = Claims::new(Arc::clone(&state));
        Self {
            state,
            catalogue,
            claims,
        }
    }

    pub(crate) fn journal(&self, job: JobId) -> Journal {
        Journal::new(Arc::clone(&self.state), job)
    }

    pub(crate) async fn job(&self, id: JobId) -> Result<JobRow> {
        match self.state.get(&job_key(id)).await? {
            Some(entry) => Ok(JobRow {
                job: decode(&entry)?,
                version: entry.version,
            }),
            None => Err(
                Error::new(ErrorKind::NotFound, format!("there is no job {id}"))
                    .advise("List the jobs to see which there are"),
            ),
        }
    }

    pub(crate) async fn plan(&self, id: JobId) -> Result<JobPlan> {
        match self.state.get(&plan_key(id)).await? {
            Some(entry) => decode(&entry),
            None => Err(
                Error::new(ErrorKind::NotFound, format!("job {id} has no plan"))
                    .advise("List the jobs to see which there are"),
            ),
        }
    }

    pub(crate) async fn jobs(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let mut scan = self.state.scan_prefix(JOBS).await?;
        let mut jobs = Vec::new();
        while let Some(entry) = scan.try_next().await? {
            let job: Job = decode(&entry)?;
            if query.matches(&job) {
                jobs.push(job);
            }
        }
        Ok(jobs)
    }

    /// The jobs that somebody has to drive.
    pub(crate) async fn active(&self) -> Result<Vec<JobId>> {
        let entries = self.state.scan_prefix(ACTIVE).await?.collect().await?;
        entries
            .iter()
            .map(|entry| entry.key[ACTIVE.len()..].parse())
            .collect()
    }

    /// The job that was started under this key, if any.
    pub(crate) async fn once(&self, key: &str) -> Result<Option<JobId>> {
        let entry = self.state.get(&once_key(key)).await?;
        entry.as_ref().map(decode).transpose()
    }

    /// The jobs that were started under a key with this prefix, and the keys.
    pub(crate) async fn started_under(&self, prefix: &str) -> Result<Vec<(String, JobId)>> {
        let scan = self.state.scan_prefix(&once_key(prefix)).await?;
        scan.and_then(|entry| {
            let key = entry.key[ONCE.len()..].to_owned();
            std::future::ready(decode(&entry).map(|job| (key, job)))
        })
        .try_collect()
        .await
    }

    /// Forgets a job that is over: first its journal, and last the key that it was started under,
    /// by which it is found again if this is interrupted.
    pub(crate) async fn forget(&self, job: JobId, once: &str) -> Result<()> {
        delete_prefix(&*self.state, &format!("job/{job}/journal/")).await?;
        let mut batch = Batch::new();
        batch
            .delete(plan_key(job), Guard::Any)
            .delete(job_key(job), Guard::Any)
            .delete(once_key(once), Guard::Any);
        self.state.commit(batch).await?;
        Ok(())
    }

    /// What a restore keeps, and its version.
    pub(crate) async fn hold(&self, restore: JobId) -> Result<(Hold, Revision)> {
        match self.state.get(&hold_key(restore)).await? {
            Some(entry) => Ok((decode(&entry)?, entry.version)),
            None => Err(Error::new(
                ErrorKind::Precondition,
                format!("job {restore} keeps no safety snapshot"),
            )
            .advise("Only a completed restore in place can be undone or accepted, and only once")),
        }
    }

    /// Makes a job durable: its plan, its row, its claims and its place in the catalogue, or none
    /// of them.
    pub(crate) async fn begin(&self, job: &Job, plan: &JobPlan, once: Option<&str>) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            batch
                .put(plan_key(job.id), Guard::Absent, encode(plan)?)
                .put(job_key(job.id), Guard::Absent, encode(job)?)
                .put(active_key(job.id), Guard::Absent, "");
            if let Some(key) = once {
                if self.once(key).await?.is_some() {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("`{key}` was started"),
                    ));
                }
                batch.put(once_key(key), Guard::Absent, encode(&job.id)?);
            }
            for claim in &plan.claims {
                self.claim(&mut batch, claim, job.id).await?;
            }
            let author = self.catalogue.by(job.id.to_string(), job.started_at);
            match &plan.effect {
                Effect::Take { entry, .. } => {
                    let mut entry = (**entry).clone();
                    entry.id = job.snapshot.unwrap_or(entry.id);
                    entry.job = job.id;
                    author.insert(&mut batch, &entry)?;
                }
                Effect::Delete { snapshot, .. } => {
                    let row = self.catalogue.get(*snapshot).await?;
                    author.begin_delete(&mut batch, &row)?;
                }
                _ => {}
            }
            match self.state.commit(batch).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                other => return other.map(|_| ()),
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "others change what this job needs faster than it can start",
        )
        .advise("Try again"))
    }

    async fn claim(&self, batch: &mut Batch, claim: &Claim, job: JobId) -> Result<()> {
        match claim {
            Claim::Change(it) => {
                self.claims
                    .take(batch, &Subject::Resource(it.clone()), job)
                    .await
            }
            Claim::Delete(it) | Claim::Import(it) => {
                self.claims.take(batch, &Subject::Snapshot(*it), job).await
            }
            Claim::Keep(it) | Claim::KeepGood(it) => {
                // What is to be kept has to be there when the job begins.
                let row = self.catalogue.get(*it).await?;
                let good =
                    row.snapshot.state == SnapshotState::Taken && row.snapshot.verified.is_some();
                if matches!(claim, Claim::KeepGood(_)) && !good {
                    let message = format!("snapshot {it} is no longer whole and verified");
                    return Err(Error::new(ErrorKind::Precondition, message)
                        .advise("Plan again: it no longer stands in for others"));
                }
                self.catalogue.require(batch, &row);
                self.claims.share(batch, &Subject::Snapshot(*it), job).await
            }
            Claim::Read(it) => {
                self.claims
                    .share(batch, &Subject::Resource(it.clone()), job)
                    .await
            }
            Claim::Settle(restore) => {
                let (mut hold, version) = self.hold(*restore).await?;
                if let Some(other) = hold.settled_by {
                    let message =
                        format!("job {other} undoes or accepts restore {restore} already");
                    return Err(Error::new(ErrorKind::Busy, message).advise("Wait for that job"));
                }
                hold.settled_by = Some(job);
                batch.put(hold_key(*restore), Guard::At(version), encode(&hold)?);
                Ok(())
            }
        }
    }

    /// Adds to the batch that the job claims nothing any longer.
    pub(crate) async fn unclaim(
        &self,
        batch: &mut Batch,
        plan: &JobPlan,
        job: JobId,
    ) -> Result<()> {
        for claim in &plan.claims {
            let subject = match claim {
                Claim::Change(it) | Claim::Read(it) => Subject::Resource(it.clone()),
                Claim::Delete(it) | Claim::Import(it) | Claim::Keep(it) | Claim::KeepGood(it) => {
                    Subject::Snapshot(*it)
                }
                Claim::Settle(_) => continue,
            };
            self.claims.release(batch, &subject, job).await?;
        }
        Ok(())
    }

    /// Adds to the batch that the job has this row now, and whether it is to be driven.
    pub(crate) fn put_job(
        &self,
        batch: &mut Batch,
        guard: Guard,
        job: &Job,
        driven: bool,
    ) -> Result<()> {
        batch.put(job_key(job.id), guard, encode(job)?);
        if driven {
            batch.put(active_key(job.id), Guard::Any, "");
        } else {
            batch.delete(active_key(job.id), Guard::Any);
        }
        Ok(())
    }

    /// Adds to the batch that a restore keeps this, or with `None` nothing any longer.
    pub(crate) fn put_hold(
        &self,
        batch: &mut Batch,
        restore: JobId,
        guard: Guard,
        hold: Option<&Hold>,
    ) -> Result<()> {
        match hold {
            Some(hold) => batch.put(hold_key(restore), guard, encode(hold)?),
            None => batch.delete(hold_key(restore), guard),
        };
        Ok(())
    }

    /// Adds to the batch that the job's row still has this version.
    pub(crate) fn require_job(&self, batch: &mut Batch, job: JobId, at: Revision) {
        batch.require(job_key(job), Guard::At(at));
    }

    /// Returns when the job's row may have changed since it had this version.
    pub(crate) async fn changed(&self, job: JobId, since: Revision) -> Result<()> {
        self.state.changed(&job_key(job), since).await
    }
}

/// Deletes everything with this prefix, as much of it at once as a batch takes.
pub(crate) async fn delete_prefix(state: &dyn State, prefix: &str) -> Result<()> {
    let entries = state.scan_prefix(prefix).await?.collect().await?;
    for entries in entries.chunks(MAX_BATCH_KEYS) {
        let mut batch = Batch::new();
        for entry in entries {
            batch.delete(&*entry.key, Guard::Any);
        }
        state.commit(batch).await?;
    }
    Ok(())
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| {
        Error::new(ErrorKind::Internal, "a value cannot be written as JSON").because(source)
    })
}

pub(crate) fn encode_value<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|source| {
        Error::new(ErrorKind::Internal, "a value cannot be written as JSON").because(source)
    })
}

pub(crate) fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T> {
    decode_bytes(&entry.value, &entry.key)
}

pub(crate) fn decode_bytes<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            format!("what is stored as `{what}` cannot be read"),
        )
        .advise("If a later version wrote it, use that; else put back a copy of the state")
        .because(source)
    })
}

/// The name under which the lease of a job is held.
pub(crate) fn lease_name(job: JobId) -> String {
    format!("job/{job}")
}

/// When a job that was just started was started.
pub(crate) fn new_job(id: JobId, plan: &JobPlan, at: Timestamp) -> Job {
    Job {
        id,
        request: plan.request.clone(),
        resources: plan
            .claims
            .iter()
            .filter_map(|claim| match claim {
                Claim::Change(it) | Claim::Read(it) => Some(it.clone()),
                _ => None,
            })
            .collect(),
        started_at: at,
        ended_at: None,
        outcome: None,
        error: None,
        snapshot: None,
        made: Vec::new(),
    }
}

fn active_key(job: JobId) -> String {
    format!("{ACTIVE}{job}")
}

fn hold_key(restore: JobId) -> String {
    format!("hold/{restore}")
}

fn job_key(job: JobId) -> String {
    format!("{JOBS}{job}")
}

fn once_key(key: &str) -> String {
    format!("{ONCE}{key}")
}

fn plan_key(job: JobId) -> String {
    format!("job/{job}/plan")
}
