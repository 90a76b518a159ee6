//! What is over for long is forgotten, so that the state grows with what there is, and not with
//! how long there has been a service.
//!
//! | | forgotten once |
//! |---|---|
//! | a run, and what became of each resource | it ended [`KEEP`] ago, and [`LATER`] later ones of its schedule are known |
//! | a job that a run or a prune started | it ended [`KEEP`] ago, the snapshot that it took is gone, and its run is over |
//!
//! A run that is forgotten could be fired again, if the clock went back beyond it. That it takes
//! more than the last hundred runs *and* a month for that is why there are two bounds: a clock
//! that is wrong by years alone makes nobody forget what was just done.

use std::collections::VecDeque;

use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{ErrorKind, JobId, Result};
use stillpoint_state::Revision;

use super::ledger::{JOBS, jobs_of};
use crate::engine::Engine;
use crate::job::Job;

/// For how long everything is known.
const KEEP: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Runs of a schedule that are known however long ago they were.
const LATER: usize = 100;

/// Forgets what is to be forgotten now.
pub(crate) async fn forget(engine: &Engine) -> Result<()> {
    let before = engine.now().checked_sub(KEEP).unwrap_or(Timestamp::MIN);
    runs(engine, before).await?;
    jobs(engine, before).await
}

async fn runs(engine: &Engine, before: Timestamp) -> Result<()> {
    let ledger = engine.ledger();
    let mut rows = ledger.every_run().await?;
    // The last so many of the schedule that the rows are of just now.
    let mut later: VecDeque<(_, Option<Timestamp>, Revision)> = VecDeque::new();
    let mut over = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let key = row.value.key();
        let same = |(last, ..): &(stillpoint_schedule::RunKey, _, _)| last.schedule == key.schedule;
        if !later.back().is_some_and(same) {
            later.clear();
        }
        later.push_back((key, row.value.ended_at, row.version));
        if later.len() > LATER
            && let Some((key, ended_at, version)) = later.pop_front()
            && ended_at.is_some_and(|at| at < before)
        {
            over.push((key, version));
        }
    }
    for (key, version) in over {
        tracing::debug!(%key, "this run is forgotten");
        ledger.forget(&key, version).await?;
    }
    Ok(())
}

async fn jobs(engine: &Engine, before: Timestamp) -> Result<()> {
    let (store, ledger) = (&engine.shared().store, engine.ledger());
    let open = ledger.open(None).await?;
    // Ids sort by when their jobs were started.
    let first_kept = JobId::new(before, [0; 10]);
    for (name, id) in store.started_under(JOBS).await? {
        if id >= first_kept || open.iter().any(|(run, _)| name.starts_with(&jobs_of(run))) {
            continue;
        }
        let job = store.job(id).await?.job;
        if job.ended_at.is_some_and(|at| at < before) && !is_needed(engine, &job).await? {
            tracing::debug!(job = %id, "this job is forgotten");
            store.forget(id, &name).await?;
        }
    }
    Ok(())
}

/// Whether the catalogue has what the job took: its journal says how, and what was captured.
async fn is_needed(engine: &Engine, job: &Job) -> Result<bool> {
    let Some(snapshot) = job.snapshot else {
        return Ok(false);
    };
    match engine.catalogue().get(snapshot).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        row => row.map(|_| true),
    }
}
