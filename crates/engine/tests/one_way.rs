//! In place where a cloud reverts to the latest snapshot alone: only where that was said, and whole
//! or not at all until the first volume is reverted.

mod common;

use std::sync::Arc;

use common::{Bench, CHUNK, Fuse};
use stillpoint_core::{ErrorKind, Snapshot};
use stillpoint_engine::{Job, Request, Restore, Take};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault, NewInstance, Personality, SimCloud};
use stillpoint_restore::Outcome;

fn bench() -> Bench {
    let cloud = SimCloud::builder(Personality::Rest).reverts_to_latest();
    Bench::on(cloud, NewInstance::off)
}

/// Of the disk that it does not boot from, which is then written.
async fn taken(bench: &Bench) -> Snapshot {
    let take = Take {
        disks: Some(vec!["data".into()]),
        ..Take::of(bench.web.clone())
    };
    let job = bench.run(Request::Take(take)).await.unwrap();
    bench.cloud.fill(&bench.disk("data"), 99);
    bench.snapshot(job.snapshot.unwrap()).await
}

fn without_undo(snapshot: &Snapshot) -> Request {
    Request::Restore(Restore {
        without_undo: true,
        ..Restore::in_place(snapshot.id)
    })
}

async fn reasons(bench: &Bench, request: &Request) -> String {
    bench
        .engine
        .plan(request)
        .await
        .unwrap()
        .blocked_by
        .join("\n")
}

fn is_restored(bench: &Bench, snapshot: &Snapshot) -> bool {
    Some(bench.cloud.digest(&bench.disk("data"))) == snapshot.parts[0].digest
}

#[tokio::test(start_paused = true)]
async fn it_has_to_be_said_and_cannot_be_undone() {
    let bench = bench();
    let snapshot = taken(&bench).await;
    let unsaid = Request::Restore(Restore::in_place(snapshot.id));
    let why = reasons(&bench, &unsaid).await;
    assert!(why.contains("ask without_undo"), "{why}");

    let plan = bench.engine.plan(&without_undo(&snapshot)).await.unwrap();
    assert!(plan.to_string().contains("it cannot be undone"), "{plan}");
    let job = bench.run(without_undo(&snapshot)).await.unwrap();
    assert!(is_restored(&bench, &snapshot));
    assert_eq!(bench.snapshots().await.len(), 1, "no safety snapshot");
    let undo = Request::Undo { job: job.id };
    let refused = bench.engine.plan(&undo).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_latest_is_refused_with_what_is() {
    let bench = bench();
    let old = taken(&bench).await;
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let new = taken(&bench).await;
    let why = reasons(&bench, &without_undo(&old)).await;
    let latest = new.parts[0].snapshot.to_string();
    assert!(
        why.contains("has a later snapshot") && why.contains(&latest),
        "{why}"
    );
    assert_eq!(reasons(&bench, &without_undo(&new)).await, "");
    bench
        .run(Request::Delete { snapshot: new.id })
        .await
        .unwrap();
    bench.run(without_undo(&old)).await.unwrap();
    assert!(is_restored(&bench, &old));
}

#[tokio::test(start_paused = true)]
async fn a_boot_disk_is_refused_and_a_volume_by_itself_is_not() {
    let bench = bench();
    let whole = bench.take().await.unwrap();
    let why = reasons(&bench, &without_undo(&whole)).await;
    assert!(why.contains("boots from it"), "{why}");

    let alone = bench.cloud.add_volume("alone", CHUNK);
    bench.cloud.fill(&alone, 3);
    let was = bench.cloud.digest(&alone);
    let job = bench
        .run(Request::Take(Take::of(alone.clone())))
        .await
        .unwrap();
    bench.cloud.fill(&alone, 4);
    let snapshot = bench.snapshot(job.snapshot.unwrap()).await;
    bench.run(without_undo(&snapshot)).await.unwrap();
    assert_eq!(bench.cloud.digest(&alone), was);
}

#[tokio::test(start_paused = true)]
async fn a_revert_that_is_refused_leaves_all_as_it_was() {
    let bench = bench();
    let snapshot = taken(&bench).await;
    let written = bench.cloud.digest(&bench.disk("data"));
    let plan = bench.engine.plan(&without_undo(&snapshot)).await.unwrap();
    let always = At::submit(OperationKind::Revert).times(1000);
    bench.cloud.fault(always, Fault::QuotaShort);
    let id = bench.engine.start(&plan).await.unwrap();
    let job = bench.finish(id).await;
    let back = matches!(job.outcome, Some(Outcome::RolledBack { .. }));
    assert!(back, "{:?}", job.outcome);
    let attached = bench.cloud.disk(&bench.web, "data").expect("the disk");
    assert_eq!(bench.cloud.digest(&attached), written);
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_powered_off_for_it_where_that_was_said() {
    let cloud = SimCloud::builder(Personality::Rest).reverts_to_latest();
    let bench = Bench::on(cloud, |instance| instance);
    let snapshot = taken(&bench).await;
    let why = reasons(&bench, &without_undo(&snapshot)).await;
    assert!(why.contains("runs; stop it"), "{why}");
    let allowed = Request::Restore(Restore {
        may_power_off: Some(std::time::Duration::from_secs(300)),
        without_undo: true,
        ..Restore::in_place(snapshot.id)
    });
    bench.run(allowed).await.unwrap();
    assert!(is_restored(&bench, &snapshot));
    let web = &bench.cloud.inventory().items[&bench.web];
    assert!(web.state.starts_with("on"), "{}", web.state);
    assert!(bench.cloud.disk(&bench.web, "data").is_some());
}

#[tokio::test(start_paused = true)]
async fn killed_at_every_write_it_is_restored_and_attached_again() {
    let mut at = 1;
    while let Some(job) = killed_at(at).await {
        assert!(
            matches!(job.outcome, Some(Outcome::Completed)),
            "killed at write {at}: {:#?}",
            job.outcome
        );
        at += 1;
    }
    assert!(at > 10, "{at}");
}

/// None where the job was over before.
async fn killed_at(at: usize) -> Option<Job> {
    let mut bench = bench();
    let snapshot = taken(&bench).await;
    let request = without_undo(&snapshot);
    let fuse = Fuse::new(Arc::clone(&bench.state), at, at.is_multiple_of(2));
    bench.drive_on(Arc::clone(&fuse) as Arc<_>);
    let engine = bench.engine.clone();
    let asked = request.clone();
    let running = async move {
        let id = engine.start_once(&asked, "once").await.unwrap();
        engine.wait(id).await.unwrap();
    };
    tokio::select! {
        biased;
        () = fuse.blown.notified() => {}
        () = running => return None,
    }
    bench.crash();
    let id = bench.engine.start_once(&request, "once").await.unwrap();
    let job = bench.finish(id).await;
    assert!(is_restored(&bench, &snapshot), "killed at write {at}");
    assert!(
        bench.cloud.disk(&bench.web, "data").is_some(),
        "killed at write {at}"
    );
    bench
        .check_no_orphans(&format!("killed at write {at}"))
        .await;
    Some(job)
}
