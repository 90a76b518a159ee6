//! What is durable of schedules: their specs, how far each is settled, and every run.
//!
//! | Key | Value |
//! |---|---|
//! | `schedule/<name>` | the spec, and whether it is paused |
//! | `scheduled/<name>` | up to when its runs are settled, and how the last one ended |
//! | `run/<name>/<wall>` | a run: there once it is fired, so that nobody fires it again |
//! | `run-item/<name>/<wall>/<resource>` | what became of one resource in it |
//! | `run-open/<name>/<wall>` | it is not over: `going` or `waiting` |
//!
//! Whoever works a run off has the lease `run/<name>/<wall>`. What is over for long is
//! [forgotten](super::forget).

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, ResourceRef, Result};
use stillpoint_schedule::policy::MissedRuns;
use stillpoint_schedule::schedule::Pause;
use stillpoint_schedule::{Run, RunKey};
use stillpoint_state::{Batch, Entry, Guard, Revision, State, StateExt};

use super::run::{RunItem, RunState, ScheduledRun};
use super::spec::ScheduleSpec;
use crate::store::{decode, delete_prefix, encode};

pub(crate) const SPECS: &str = "schedule/";

/// The durable side of schedules.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) state: Arc<dyn State>,
}

/// A stored schedule.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Stored {
    pub(crate) spec: ScheduleSpec,
    /// What an operator said, which another apply does not undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<Pause>,
    pub(crate) created_at: Timestamp,
}

/// How far a schedule is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Progress {
    /// Up to when its runs are settled: fired, or given up as missed.
    pub(crate) since: Timestamp,
    /// The last run that ended.
    #[serde(default)]
    pub(crate) last: Option<LastRun>,
    /// Runs that were missed, and none was all good since.
    #[serde(default)]
    pub(crate) missed: Option<MissedRuns>,
}

/// How the last run of a schedule ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LastRun {
    /// The run.
    pub run: Run,
    /// How it ended.
    pub state: RunState,
    /// When.
    pub ended_at: Timestamp,
    /// How long it took, its retention included.
    pub took: SignedDuration,
}

/// A value, and the version its change is guarded by.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) version: Revision,
}

impl Ledger {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<At<Stored>>> {
        at(self.state.get(&spec_key(name)).await?)
    }

    pub(crate) async fn schedule(&self, name: &str) -> Result<At<Stored>> {
        self.find(name).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no schedule `{name}`"),
            )
            .advise("List the schedules to see which there are")
        })
    }

    /// All schedules by name.
    pub(crate) async fn schedules(&self) -> Result<Vec<At<Stored>>> {
        let (schedules, _) = self.each_schedule().await?;
        schedules.into_iter().collect()
    }

    /// All schedules by name, each with what its row is, and the revision at which they were read.
    pub(crate) async fn each_schedule(&self) -> Result<(Vec<Result<At<Stored>>>, Revision)> {
        let scan = self.state.scan_prefix(SPECS).await?;
        let revision = scan.revision();
        let stored = scan.map_ok(|entry| of(&entry)).try_collect().await?;
        Ok((stored, revision))
    }

    pub(crate) async fn progress(&self, name: &str) -> Result<At<Progress>> {
        at(self.state.get(&progress_key(name)).await?)?.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no schedule `{name}` any more"),
            )
        })
    }

    /// The run of that key, if it was fired.
    pub(crate) async fn run(&self, key: &RunKey) -> Result<Option<At<ScheduledRun>>> {
        at(self.state.get(&run_key(key)).await?)
    }

    /// The runs of a schedule from a time on the wall on, oldest first.
    pub(crate) async fn runs(&self, name: &str) -> Result<Vec<ScheduledRun>> {
        let scan = self.state.scan_prefix(&format!("run/{name}/")).await?;
        scan.and_then(|entry| std::future::ready(decode(&entry)))
            .try_collect()
            .await
    }

    /// Every run of every schedule: those of a schedule together, oldest first.
    pub(crate) async fn every_run(&self) -> Result<BoxStream<'static, Result<At<ScheduledRun>>>> {
        let scan = self.state.scan_prefix("run/").await?;
        Ok(scan
            .and_then(|entry| std::future::ready(of(&entry)))
            .boxed())
    }

    /// What became of each resource in a run so far, by resource.
    pub(crate) async fn items(&self, key: &RunKey) -> Result<Vec<RunItem>> {
        let scan = self.state.scan_prefix(&items_prefix(key)).await?;
        scan.and_then(|entry| std::future::ready(decode(&entry)))
            .try_collect()
            .await
    }

    /// The runs of one schedule, or of all, that are not over: oldest first, and whether each waits.
    pub(crate) async fn open(&self, name: Option<&str>) -> Result<Vec<(RunKey, bool)>> {
        let prefix = name.map_or("run-open/".to_owned(), |name| format!("run-open/{name}/"));
        let entries = self.state.scan_prefix(&prefix).await?.collect().await?;
        entries.iter().map(decode).collect()
    }

    pub(crate) fn put_spec(&self, batch: &mut Batch, guard: Guard, stored: &Stored) -> Result<()> {
        batch.put(spec_key(&stored.spec.name), guard, encode(stored)?);
        Ok(())
    }

    pub(crate) fn put_progress(
        &self,
        batch: &mut Batch,
        name: &str,
        guard: Guard,
        progress: &Progress,
    ) -> Result<()> {
        batch.put(progress_key(name), guard, encode(progress)?);
        Ok(())
    }

    pub(crate) fn put_run(
        &self,
        batch: &mut Batch,
        guard: Guard,
        run: &ScheduledRun,
    ) -> Result<()> {
        let key = run.key();
        batch.put(run_key(&key), guard, encode(run)?);
        if run.state.is_open() {
            let waits = run.state == RunState::Waiting;
            batch.put(open_key(&key), Guard::Any, encode(&(&key, waits))?);
        } else {
            batch.delete(open_key(&key), Guard::Any);
        }
        Ok(())
    }

    /// Adds to the batch that the schedule must still be at this version.
    pub(crate) fn require(&self, batch: &mut Batch, stored: &At<Stored>) {
        batch.require(spec_key(&stored.value.spec.name), Guard::At(stored.version));
    }

    pub(crate) fn remove(&self, batch: &mut Batch, stored: &At<Stored>) {
        let name = &stored.value.spec.name;
        batch
            .delete(spec_key(name), Guard::At(stored.version))
            .delete(progress_key(name), Guard::Any);
    }

    /// Writes down what became of a resource. Who was there before stays.
    pub(crate) async fn settle(&self, key: &RunKey, item: &RunItem) -> Result<()> {
        let mut batch = Batch::new();
        let at = format!("{}{}", items_prefix(key), item.resource);
        batch.put(at, Guard::Absent, encode(item)?);
        match self.state.commit(batch).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Forgets a run that is over: first its items, and last itself, by which it is found again
    /// if this is interrupted.
    pub(crate) async fn forget(&self, key: &RunKey, version: Revision) -> Result<()> {
        delete_prefix(&*self.state, &items_prefix(key)).await?;
        let mut batch = Batch::new();
        batch.delete(run_key(key), Guard::At(version));
        match self.state.commit(batch).await {
            // Another engine was first.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Returns when a schedule may have been applied, paused or removed since.
    pub(crate) async fn changed(&self, since: Revision) -> Result<()> {
        self.state.changed(SPECS, since).await
    }
}

/// What the keys of all jobs begin with that schedules start.
pub(crate) const JOBS: &str = "schedule/";

/// What the keys of the jobs of a run begin with.
pub(crate) fn jobs_of(key: &RunKey) -> String {
    format!("{JOBS}{key}/")
}

/// The key under which the job of one resource in a run is started once.
pub(crate) fn once(key: &RunKey, resource: &ResourceRef) -> String {
    format!("{}{resource}", jobs_of(key))
}

/// The lease of whoever works a run off.
pub(crate) fn lease_name(key: &RunKey) -> String {
    run_key(key)
}

fn at<T: serde::de::DeserializeOwned>(entry: Option<Entry>) -> Result<Option<At<T>>> {
    entry.as_ref().map(of).transpose()
}

fn of<T: serde::de::DeserializeOwned>(entry: &Entry) -> Result<At<T>> {
    Ok(At {
        value: decode(entry)?,
        version: entry.version,
    })
}

fn spec_key(name: &str) -> String {
    format!("{SPECS}{name}")
}

fn progress_key(name: &str) -> String {
    format!("scheduled/{name}")
}

fn run_key(key: &RunKey) -> String {
    format!("run/{}", place(key))
}

fn open_key(key: &RunKey) -> String {
    format!("run-open/{}", place(key))
}

fn items_prefix(key: &RunKey) -> String {
    format!("run-item/{}/", place(key))
}

/// Sorts as time on the wall does.
fn place(key: &RunKey) -> String {
    let pass = if key.second_pass { "+2" } else { "" };
    format!("{}/{}{pass}", key.schedule, key.wall)
}
