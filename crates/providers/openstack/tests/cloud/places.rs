//! Restores in place, by whole jobs.

use std::time::Duration;

use serde_json::json;
use stillpoint_core::{ErrorKind, ResourceRef, SnapshotId};
use stillpoint_engine::{Engine, Request, Restore, Take};
use stillpoint_iaas::conformance::TestBed;

use crate::bed::{Bed, reference};
use crate::jobs::{engine, finish};

fn without_undo(snapshot: SnapshotId) -> Request {
    Request::Restore(Restore {
        without_undo: true,
        ..Restore::in_place(snapshot)
    })
}

async fn taken(engine: &Engine, take: Take) -> SnapshotId {
    finish(engine, &Request::Take(take))
        .await
        .unwrap()
        .snapshot
        .unwrap()
}

async fn reasons(engine: &Engine, request: &Request) -> String {
    engine.plan(request).await.unwrap().blocked_by.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_volume_goes_back_to_its_latest_snapshot_and_to_no_other() {
    let bed = Bed::new();
    let volume = bed.make_volume(&bed.namespace(), bed.volume_size()).await;
    bed.fill(&volume, 1).await;
    let was = bed.digest(&volume).await;
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let first = taken(&engine, Take::of(volume.clone())).await;
    bed.fill(&volume, 2).await;
    let before = bed.items();

    let unsaid = Request::Restore(Restore::in_place(first));
    let refused = finish(&engine, &unsaid).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert!(refused.message().contains("ask without_undo"), "{refused}");
    let second = taken(&engine, Take::of(volume.clone())).await;
    let refused = finish(&engine, &without_undo(first)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    let why = refused.message();
    assert!(why.contains("has a later snapshot"), "{refused}");
    let delete = Request::Delete { snapshot: second };
    finish(&engine, &delete).await.unwrap();
    assert_eq!(bed.items(), before);

    assert_ne!(bed.digest(&volume).await, was);
    finish(&engine, &without_undo(first)).await.unwrap();
    assert_eq!(bed.digest(&volume).await, was);
    finish(&engine, &Request::Delete { snapshot: first })
        .await
        .unwrap();
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_disk_of_an_instance_is_detached_reverted_and_attached_again() {
    let bed = Bed::new();
    let web = bed.make_web().await;
    bed.power_off(&web).await;
    let data = disk(&bed, "data").await;
    bed.hand.ask("fill", json!([data.id(), 1]));
    let was = bed.digest(&data).await;
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());

    let whole = taken(&engine, Take::of(web.clone())).await;
    let why = reasons(&engine, &without_undo(whole)).await;
    assert!(why.contains("boots from it"), "{why}");
    finish(&engine, &Request::Delete { snapshot: whole })
        .await
        .unwrap();
    let take = Take {
        disks: Some(vec!["data".into()]),
        ..Take::of(web.clone())
    };
    let snapshot = taken(&engine, take).await;
    bed.hand.ask("fill", json!([data.id(), 2]));
    finish(&engine, &without_undo(snapshot)).await.unwrap();
    assert_eq!(bed.digest(&data).await, was);
    finish(&engine, &Request::Delete { snapshot })
        .await
        .unwrap();
    let after = bed.items();
    let server = format!("instance/{}", web.id());
    assert_eq!(after[&server], before[&server], "attached as before");
    assert!(after.keys().eq(before.keys()), "{before:?} {after:?}");
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_disk_on_the_hypervisor_goes_back_and_forth() {
    let bed = Bed::new();
    let name = bed.namespace();
    let base = bed.hand.id("image", json!([name, 8]));
    let server = bed.hand.id("from_image", json!([name, base, "m1.nano"]));
    let server = reference(&format!("instance/{server}"));
    bed.power_off(&server).await;
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let snapshot = taken(&engine, Take::of(server.clone())).await;
    let restore = Request::Restore(Restore::in_place(snapshot));
    let job = finish(&engine, &restore).await.unwrap();
    assert!(job.snapshot.is_some(), "a safety snapshot");
    finish(&engine, &Request::Undo { job: job.id })
        .await
        .unwrap();
    finish(&engine, &Request::Delete { snapshot })
        .await
        .unwrap();
    let after = bed.items();
    assert!(after.keys().eq(before.keys()), "{before:?} {after:?}");
    engine.shutdown(Duration::from_secs(5)).await;
}

/// The volume of a disk of the only instance that this bed has made.
async fn disk(bed: &Bed, name: &str) -> ResourceRef {
    let called = format!("{}-{name} ", bed.namespace());
    let items = bed.items();
    let volume = items.iter().find(|(_, state)| state.starts_with(&called));
    reference(volume.expect("its volume").0)
}
