//! A run from its beginning to its end: every resource once, then retention.
//!
//! All of it may be done again from the start, by whoever: jobs are started once for their key,
//! items are written once, and the end is one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, ErrorReport, ResourceRef, Result, Retry};
use stillpoint_schedule::RunKey;
use stillpoint_state::lease::Lease;

use super::fire;
use super::ledger::{At, once};
use super::run::{ItemResult, RunItem, RunState, ScheduledRun};
use crate::caught::caught;
use crate::engine::Engine;
use crate::retention::Pruned;
use crate::run::is_lasting;

/// Resources of one run that are taken at the same time. The provider's own limits are kept by
/// its gate; this bounds what waits at it.
const AT_ONCE: usize = 32;

/// How often, and for how long at most, a request is made again that could not even be planned
/// or started, before that is a failure.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(120);

/// Works a run off that whoever calls has the lease of; gives the runs that waited for it.
pub(crate) async fn work_off(engine: &Engine, key: &RunKey, lease: &Lease) -> Result<Vec<RunKey>> {
    let ledger = engine.ledger();
    let going = |run: &At<ScheduledRun>| run.value.state == RunState::Going;
    let Some(run) = ledger.run(key).await?.filter(going) else {
        return fire::give_back(ledger, lease).await.map(|()| Vec::new());
    };
    let run = run.value;
    let settled = ledger.items(key).await?;
    let mut items: BTreeMap<ResourceRef, RunItem> = settled
        .into_iter()
        .map(|item| (item.resource.clone(), item))
        .collect();
    let found = find(engine, &run).await?;
    let left = found.resources.iter().filter(|it| !items.contains_key(it));
    let mut left: Vec<(Timestamp, ResourceRef)> = left
        .map(|it| (start_of(&run, key, it), it.clone()))
        .collect();
    left.sort();
    let mut taking = stream::iter(left)
        .map(|(at, resource)| take(engine, &run, key, resource, at))
        .buffer_unordered(AT_ONCE);
    while let Some(item) = taking.next().await {
        let item = item?;
        items.insert(item.resource.clone(), item);
    }
    drop(taking);
    let taken: BTreeSet<ResourceRef> = items
        .values()
        .filter(|item| item.is_taken())
        .map(|item| item.resource.clone())
        .collect();
    let pruned = prune(engine, key, &taken).await?;
    let state = end(taken.len(), items.len() - taken.len(), found.unreachable);
    let now = engine.shared().clock.now();
    fire::finish(ledger, key, lease, |run| {
        run.state = state.clone();
        run.ended_at = Some(now);
        run.pruned.clone_from(&pruned);
    })
    .await
}

fn end(taken: usize, failed: usize, unreachable: Vec<ErrorReport>) -> RunState {
    match (taken, failed) {
        (0, 0) if unreachable.is_empty() => RunState::Empty,
        (taken, 0) if unreachable.is_empty() => RunState::Done { taken },
        (taken, failed) => RunState::Failed {
            taken,
            failed,
            unreachable,
        },
    }
}

/// What the run is about. A provider that is away is asked again for a while.
async fn find(engine: &Engine, run: &ScheduledRun) -> Result<super::select::Found> {
    let shared = engine.shared();
    let mut tries = 1;
    loop {
        let found = match run.spec.of.find(&shared.workshop.providers).await {
            Ok(found) => found,
            // A provider that is not registered any more: nothing is selected, and that is said.
            Err(error) => super::select::Found {
                resources: BTreeSet::new(),
                unreachable: vec![error.to_report()],
            },
        };
        if found.unreachable.is_empty() || tries == TRIES {
            return Ok(found);
        }
        shared.clock.sleep((PAUSE * tries).min(LONGEST)).await;
        tries += 1;
    }
}

fn start_of(run: &ScheduledRun, key: &RunKey, resource: &ResourceRef) -> Timestamp {
    let jitter = run.spec.when.jitter();
    jitter.start(run.run.at, key, &resource.to_string())
}

/// Takes one resource, when its turn has come. Whatever goes wrong with it is its own affair.
async fn take(
    engine: &Engine,
    run: &ScheduledRun,
    key: &RunKey,
    resource: ResourceRef,
    at: Timestamp,
) -> Result<RunItem> {
    let shared = engine.shared();
    let delay = at.duration_since(run.run.at);
    let left = at.duration_since(shared.clock.now()).min(delay);
    if let Ok(left) = Duration::try_from(left) {
        shared.clock.sleep(left).await;
    }
    let took = caught("taking it", take_once(engine, run, key, &resource)).await;
    let (job, result) = match took.unwrap_or_else(|panicked| Err((None, panicked))) {
        Ok((job, snapshot)) => (Some(job), ItemResult::Taken(snapshot)),
        Err((job, error)) => {
            tracing::warn!(%key, %resource, %error, "it could not be taken");
            (job, ItemResult::Failed(error.to_report()))
        }
    };
    let at = shared.clock.now();
    let item = RunItem {
        resource,
        job,
        at,
        result,
    };
    engine.ledger().settle(key, &item).await?;
    Ok(item)
}

type Took = (stillpoint_core::JobId, stillpoint_core::SnapshotId);

async fn take_once(
    engine: &Engine,
    run: &ScheduledRun,
    key: &RunKey,
    resource: &ResourceRef,
) -> Result<Took, (Option<stillpoint_core::JobId>, Error)> {
    let request = run.spec.request(key, resource.clone());
    let name = once(key, resource);
    let mut tries = 1;
    let job = loop {
        match engine.start_once(&request, &name).await {
            Ok(job) => break job,
            Err(error) if tries < TRIES && is_passing(&error) => {
                let after = match error.retry() {
                    Retry::After(after) => after.max(PAUSE),
                    _ => PAUSE * tries,
                };
                engine.shared().clock.sleep(after.min(LONGEST)).await;
                tries += 1;
            }
            Err(error) => return Err((None, error)),
        }
    };
    let failed = |error| (Some(job), error);
    let ended = loop {
        match engine.wait(job).await {
            Ok(ended) => break ended.into_result().map_err(failed)?,
            Err(error) if is_lasting(&error) => return Err(failed(error)),
            // The job goes on; it is only that nobody can tell how just now.
            Err(_) => engine.shared().clock.sleep(PAUSE).await,
        }
    };
    ended
        .snapshot
        .map(|snapshot| (job, snapshot))
        .ok_or_else(|| {
            let error = Error::new(ErrorKind::Internal, format!("job {job} took no snapshot"));
            (Some(job), error)
        })
}

/// Whether another try, a little later, may well go better.
fn is_passing(error: &Error) -> bool {
    matches!(error.retry(), Retry::After(_))
        || matches!(
            error.kind(),
            ErrorKind::Busy | ErrorKind::Conflict | ErrorKind::Timeout | ErrorKind::Unavailable
        )
}

/// Retention, for those resources alone of which there is a new snapshot.
async fn prune(
    engine: &Engine,
    key: &RunKey,
    taken: &BTreeSet<ResourceRef>,
) -> Result<Option<Pruned>> {
    if taken.is_empty() {
        return Ok(None);
    }
    let Some(stored) = engine.ledger().find(&key.schedule).await? else {
        return Ok(None);
    };
    let Some(keep) = stored.value.spec.keep else {
        return Ok(None);
    };
    let plan = match engine.prune_plan(&key.schedule, &keep, Some(taken)).await {
        Ok(plan) => plan,
        Err(error) if is_lasting(&error) => return Ok(Some(Pruned::refused(&error))),
        Err(error) => return Err(error),
    };
    Ok(Some(engine.carry_out(&plan).await))
}
