//! An instance of an image, by whole jobs: its root disk is on a hypervisor.

use std::time::Duration;

use serde_json::json;
use stillpoint_engine::{Request, Restore, Scope, Take, Target};
use stillpoint_iaas::conformance::TestBed;
use stillpoint_openstack::{Launch, Networks, OpenStack};

use crate::bed::{Bed, LAB, config, reference};
use crate::jobs::{engine_on, finish};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
async fn an_instance_of_an_image_is_made_anew_and_becomes_an_image() {
    let bed = Bed::new();
    let name = bed.namespace();
    let base = bed.hand.id("image", json!([name, 8]));
    let server = bed.hand.id("from_image", json!([name, base, "m1.nano"]));
    let before = bed.items();
    // It is told nothing to launch with: its snapshots have to remember that.
    let cloud = OpenStack::builder(LAB, config(bed.cloud())).settle(Duration::from_secs(8));
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_on(&folder.path().join("state"), cloud.clone().build().unwrap());
    tokio::spawn(engine.run());
    let take = |scope, name: &str| {
        Request::Take(Take {
            scope,
            name: Some(name.to_owned()),
            ..Take::of(reference(&format!("instance/{server}")))
        })
    };
    let taken = finish(&engine, &take(Scope::Volumes, "taken")).await;
    let taken = taken.unwrap().snapshot.unwrap();
    let to = |to| {
        Request::Restore(Restore {
            to,
            ..Restore::in_place(taken)
        })
    };
    engine.shutdown(Duration::from_secs(5)).await;
    drop(engine);

    // What it is told comes first, and is looked at before anything is made.
    let none = Launch::default()
        .flavor("m1.none")
        .networks(Networks::These(vec![
            "00000000-0000-0000-0000-000000000000".into(),
        ]))
        .key_pair("nobodys");
    let wrong = cloud.clone().launch(none).build().unwrap();
    let engine = engine_on(&folder.path().join("state"), wrong);
    let new = to(Target::New { name: name.clone() });
    let blocked = engine.plan(&new).await.unwrap().blocked_by;
    for (line, what) in blocked.iter().zip(["flavor", "network", "key pair"]) {
        assert!(line.contains(what), "{blocked:?}");
    }
    assert_eq!(blocked.len(), 3, "{blocked:?}");
    drop(engine);

    let engine = engine_on(&folder.path().join("state"), cloud.build().unwrap());
    tokio::spawn(engine.run());
    let (anew, golden) = (format!("{name}-anew"), format!("{name}-golden"));
    let restore = to(Target::New { name: anew.clone() });
    finish(&engine, &restore).await.unwrap();
    let restore = to(Target::Template {
        name: golden.clone(),
    });
    finish(&engine, &restore).await.unwrap();
    let kept = format!("{name}-kept");
    let image = finish(&engine, &take(Scope::Image, &kept)).await.unwrap();
    let snapshot = image.snapshot.unwrap();
    let image = engine.snapshot_of(&image).await.unwrap().parts.remove(0);
    let image = format!("image/{}", image.snapshot.id());
    assert!(bed.items()[&image].starts_with(&format!("{kept} active ")));
    for snapshot in [taken, snapshot] {
        let delete = Request::Delete { snapshot };
        finish(&engine, &delete).await.unwrap();
    }

    let after = bed.items();
    let new = after.iter().filter(|(it, _)| !before.contains_key(*it));
    let new: Vec<_> = new
        .map(|(it, state)| {
            let kind = it.split('/').next().unwrap();
            let mut words = state.split(' ');
            let called = words.next().unwrap().strip_prefix(&*name).unwrap();
            format!("{kind} {called} {}", words.next().unwrap())
        })
        .collect();
    assert_eq!(
        new,
        [
            "image -golden active",
            "instance -anew ACTIVE",
            "volume -anew-root 1"
        ]
    );
    engine.shutdown(Duration::from_secs(5)).await;
}
