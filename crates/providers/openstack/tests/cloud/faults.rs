//! What goes wrong in a cloud, and the inventory after it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use stillpoint_core::ErrorKind;
use stillpoint_engine::{Engine, Request, Take};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_iaas::{Observation, Operation, OperationKey, Provider};
use stillpoint_openstack::CloudConfig;

use crate::bed::{Bed, named, reference};
use crate::counting::Counting;
use crate::hand::{Hand, lab};
use crate::jobs::{ended, engine, engine_on, finish};
use crate::things::{done, take};

/// For how many seconds Cinder is away, and then it has to start.
const AWAY: u64 = 30;
const AT_ONCE: u32 = 8;
const VOLUMES: usize = 40;

async fn gone(engine: &Engine, taken: stillpoint_engine::Job) {
    let snapshot = taken.snapshot.expect("a snapshot");
    finish(engine, &Request::Delete { snapshot }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn cinder_is_ended_and_started_again_in_the_middle() {
    // Cinder is everybody's.
    let bed = Bed::alone();
    let (name, size) = (bed.namespace(), bed.volume_size());
    // Of no instance: of those Nova tells Cinder when a disk's snapshot is made, and only once.
    let first = bed.make_volume(&name, size).await;
    let second = bed.make_volume(&name, size).await;
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let plan = async |of| engine.plan(&Request::Take(Take::of(of))).await.unwrap();
    let (first, second) = (plan(first).await, plan(second).await);
    let new = || {
        let items = bed.items().into_keys();
        items.filter(|name| !before.contains_key(name)).count()
    };
    let first = engine.start(&first).await.unwrap();
    let began = async {
        while new() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let early = ended(&engine, first);
    tokio::select! {
        () = began => {}
        job = early => panic!("it ended before it began: {job:?}"),
    }
    // The first has begun, and is watched while nobody answers. The second asks in about the moment
    // in which Cinder ends: most often in vain, until somebody answers again.
    let second = engine.start(&second).await.unwrap();
    // Asked to end, not killed: killed between its answer and its word to those who do the work, it
    // leaves a snapshot that is made for ever, which no client can mend.
    bed.hand.ask("restart", json!(["cinder-api", AWAY, "TERM"]));
    let jobs = [ended(&engine, first).await, ended(&engine, second).await];
    bed.hand.ask("until_answers", json!([]));
    let jobs = jobs.map(|job| job.unwrap().into_result().expect("it waited, and went on"));
    assert_eq!(new(), 2, "each once");
    for job in jobs {
        gone(&engine, job).await;
    }
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn an_image_is_deleted_while_it_is_made() {
    let bed = Bed::new();
    let name = bed.namespace();
    let base = bed.hand.id("image", json!([name, 400]));
    let server = bed.hand.id("from_image", json!([name, base, "m1.nano"]));
    let before = bed.items();
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&bed, &folder.path().join("state"));
    tokio::spawn(engine.run());
    let take = Take {
        name: Some(format!("{name}-gone")),
        ..Take::of(reference(&format!("instance/{server}")))
    };
    let plan = engine.plan(&Request::Take(take)).await.unwrap();
    let image = format!("{name}-gone");
    let vandal = Hand::of(bed.project());
    vandal.ask("inventory", json!([]));
    let vandal = tokio::task::spawn_blocking(move || {
        let was = vandal.id("image_gone", json!([image]));
        assert_ne!(was, "active", "too late to be half-way");
    });
    let id = engine.start(&plan).await.unwrap();
    vandal.await.unwrap();
    let job = ended(&engine, id).await.unwrap();
    // Known to be absent, it is asked for again; or it failed, and left nothing.
    if let Ok(job) = job.into_result() {
        gone(&engine, job).await;
    }
    bed.hand.ask("until_idle", json!([server]));
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn a_snapshot_that_is_stuck_runs_until_cinder_gives_it_up() {
    let bed = Bed::new();
    let name = bed.namespace();
    let volume = bed.make_volume(&name, bed.volume_size()).await;
    let before = bed.items();
    let cloud = bed.provider();
    let key: OperationKey = format!("{name}.take").parse().unwrap();
    let operation = take(&volume, &name);
    let ticket = cloud.submit(&key, &operation).await.unwrap();
    let snapshot = reference(&format!("snapshot/{}", ticket.as_str()));
    bed.hand.ask("available", json!([snapshot.id()]));
    let set = |status: &str| {
        let with = json!(["snapshots", snapshot.id(), status]);
        bed.hand.ask("set_status", with);
    };
    set("creating");
    let seen = cloud.observe(&key, &operation, None).await.unwrap();
    assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    let delete = Operation::DeleteSnapshot {
        snapshot: snapshot.clone(),
    };
    let gone: OperationKey = format!("{name}.gone").parse().unwrap();
    let busy = cloud.submit(&gone, &delete).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    // What Cinder does after ten minutes.
    set("error");
    let seen = cloud.observe(&key, &operation, None).await.unwrap();
    let Observation::Failed { left, .. } = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(left, [snapshot]);
    done(&cloud, gone.as_str(), &delete).await;
    assert_eq!(bed.items(), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn forty_volumes_at_once_are_eight_calls_at_once() {
    let bed = Bed::new();
    let volumes = bed.hand.ask("volumes", json!([bed.namespace(), VOLUMES]));
    let volumes: Vec<String> = serde_json::from_value(volumes).unwrap();
    let before = bed.items();
    let service = bed.hand.id("cinder", json!([]));
    let (address, path) = service.split_once('/').expect("a path");
    let counting = Counting::before(address.to_owned()).await;
    let folder = tempfile::tempdir().unwrap();
    let over = named(config(&bed, &format!("{}/{path}", counting.url)))
        .at_once(AT_ONCE)
        .build()
        .unwrap();
    let engine = engine_on(&folder.path().join("state"), over);
    tokio::spawn(engine.run());
    let jobs = volumes.iter().map(|volume| {
        let take = Take::of(reference(&format!("volume/{volume}")));
        let engine = engine.clone();
        async move { finish(&engine, &Request::Take(take)).await.unwrap() }
    });
    let jobs = join_all(jobs).await;
    let new = bed.items().len() - before.len();
    assert_eq!((new, counting.takes()), (VOLUMES, VOLUMES), "none is lost");
    let most = counting.most_at_once();
    println!("{VOLUMES} volumes: at most {most} calls at once");
    assert!((2..=AT_ONCE as usize).contains(&most), "{most} at once");
    join_all(jobs.into_iter().map(|job| gone(&engine, job))).await;
    assert_eq!(bed.items(), before);
    engine.shutdown(Duration::from_secs(5)).await;
}

/// The cloud, with another address of its volumes.
fn config(bed: &Bed, volumes: &str) -> CloudConfig {
    let clouds = std::fs::read_to_string(lab().join("clouds.yaml")).expect("the lab is up");
    let name = format!("  {}:\n", bed.cloud());
    let block = format!("{name}    block_storage_endpoint_override: {volumes}\n");
    let clouds = clouds.replace(&name, &block);
    CloudConfig::from_yaml(bed.cloud(), &clouds, None).expect("still a clouds.yaml")
}
