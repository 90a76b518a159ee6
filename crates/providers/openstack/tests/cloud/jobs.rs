//! Whole jobs of the engine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stillpoint_core::{ErrorKind, JobId, ResourceRef, Result};
use stillpoint_engine::{Engine, Job, JobQuery, Request, Take};
use stillpoint_openstack::OpenStack;
use stillpoint_state::Redb;
use tokio::time::{sleep, timeout};

use crate::bed::{Bed, provider_of};

const LONG: Duration = Duration::from_secs(400);

/// Where the victim logs in, where it keeps its state, and what it takes.
const CLOUD: &str = "STILLPOINT_OPENSTACK_VICTIM";
const STATE: &str = "STILLPOINT_OPENSTACK_STATE";
const SOURCE: &str = "STILLPOINT_OPENSTACK_SOURCE";

pub(crate) fn engine(bed: &Bed, state: &Path) -> Engine {
    engine_on(state, bed.provider())
}

pub(crate) fn engine_on(state: &Path, cloud: OpenStack) -> Engine {
    let state = Redb::open_or_create(state).expect("a state");
    let engine = Engine::builder(Arc::new(state)).provider(Arc::new(cloud));
    engine.build().expect("an engine")
}

/// Plans and starts a job, and waits for its good end.
pub(crate) async fn finish(engine: &Engine, request: &Request) -> Result<Job> {
    let plan = engine.plan(request).await?;
    let job = engine.start(&plan).await?;
    ended(engine, job).await?.into_result()
}

/// Waits for a job, and not for ever.
pub(crate) async fn ended(engine: &Engine, job: JobId) -> Result<Job> {
    timeout(LONG, engine.wait(job)).await.expect("it ends")
}

async fn take(engine: &Engine, of: &ResourceRef) -> Result<Job> {
    let take = Request::Take(Take::of(of.clone()));
    let job = engine.start_once(&take, "the only one").await?;
    ended(engine, job).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_quota_of_one_too_few_leaves_nothing() {
    let bed = Bed::new();
    let web = bed.make_web().await;
    let before = bed.items();
    let snapshots = before
        .keys()
        .filter(|name| name.starts_with("snapshot/"))
        .count();
    let few = json!({ "snapshots": snapshots + 1 });
    let was = bed.hand.ask("quotas", json!([few]));
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let ended = take(&engine, &web).await;
    bed.hand.ask("quotas", json!([was]));
    // Of the whole group, before anything is asked for.
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    let why = "2 snapshots are needed and the quota of lab leaves 1";
    assert!(error.message().contains(why), "{error}");
    let jobs = engine.jobs(&JobQuery::default()).await.unwrap();
    assert!(jobs.is_empty(), "{jobs:?}");
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_process_killed_between_two_volumes_is_taken_over() {
    let bed = Bed::new();
    let web = bed.make_web().await;
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs::victim", "--ignored"])
        .env(CLOUD, bed.cloud())
        .env(STATE, &state)
        .env(SOURCE, web.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Killed as soon as the cloud has heard of the first.
    let heard = || {
        bed.items()
            .keys()
            .filter(|name| name.starts_with("snapshot/"))
            .count()
            > 0
    };
    while !heard() {
        assert!(victim.try_wait().unwrap().is_none(), "it ended by itself");
    }
    victim.kill().unwrap();
    victim.wait().unwrap();

    let engine = engine(&bed, &state);
    tokio::spawn(engine.run());
    let job = take(&engine, &web).await.unwrap();
    let job = job.into_result().unwrap();
    let taken = engine.snapshot_of(&job).await.unwrap();
    assert_eq!(taken.parts.len(), 2);
    let after = bed.items();
    let new: Vec<_> = after
        .keys()
        .filter(|name| !before.contains_key(*name))
        .collect();
    let parts = taken
        .parts
        .iter()
        .map(|part| format!("snapshot/{}", part.snapshot.id()));
    let mut parts: Vec<_> = parts.collect();
    parts.sort();
    assert_eq!(new, parts.iter().collect::<Vec<_>>(), "and no twin");

    let delete = Request::Delete { snapshot: taken.id };
    let job = engine.start_once(&delete, "gone").await.unwrap();
    ended(&engine, job).await.unwrap().into_result().unwrap();
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

/// The process that is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process of its own, which another test kills"]
async fn victim() {
    let (Some(state), Ok(source)) = (std::env::var_os(STATE), std::env::var(SOURCE)) else {
        return;
    };
    let cloud = std::env::var(CLOUD).expect("the name of a cloud");
    let engine = engine_on(Path::new(&state), provider_of(&cloud));
    tokio::spawn(engine.run());
    take(&engine, &source.parse().unwrap()).await.unwrap();
    sleep(LONG).await;
}
