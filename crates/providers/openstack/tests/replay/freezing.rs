//! What an image's properties grant, and what a snapshot will not hold.

use std::time::Duration;

use serde_json::{Value, json};
use stillpoint_core::{Capture, Consistency, ErrorKind, Memory, World};
use stillpoint_iaas::{DiskOf, Observation, Operation, Output, Provider, Reverts, TakeSnapshot};

use crate::bed::{key, observe, on_volumes, provider, reference, submit, volume};
use crate::server::{Answer, Replay};
use crate::servers::{SERVER, instance, on_server, with_attached, with_server};

const FAILED: &str = "08-freezing-and-bytes";
const TAKEN: &str = "04b-volume-backed-server-snapshots";
const ROOT: &str = "014933fd-e223-4613-82e4-6f4468565864";
const DATA: &str = "c0211b5e-7870-473b-b012-62f5f9bfd78b";
const IMAGE: &str = "/image/v2/images/63de7117-735f-4501-9f63-c62866f24114";

/// A server that boots from a volume of an image with these properties, and has another volume.
async fn cloud(properties: Value) -> Replay {
    let replay = Replay::new().await;
    with_server(&replay, "ACTIVE", None, "".into());
    with_attached(
        &replay,
        json!([
            {"volumeId": ROOT, "device": "/dev/vda", "tag": null},
            {"volumeId": DATA, "device": "/dev/vdb", "tag": "data"},
        ]),
    );
    for id in [ROOT, DATA] {
        let mut body = volume(id, "in-use", &[SERVER]);
        if id == ROOT {
            body["volume_image_metadata"] = properties.clone();
        }
        replay.on(
            "GET",
            &on_volumes(&format!("/volumes/{id}")),
            Answer::new(200, json!({"volume": body})),
        );
    }
    let limits = Answer::recorded("05-live-snapshots-quota-paging-tokens", 35);
    replay.on("GET", &on_volumes("/limits"), limits);
    replay.on("POST", &on_server("/action"), Answer::recorded(TAKEN, 4));
    // Nova copies what was said of the image to the one that it makes.
    let mut image = Answer::recorded(TAKEN, 5);
    for (name, value) in properties.as_object().unwrap() {
        image.body[name] = value.clone();
    }
    replay.on("GET", IMAGE, image);
    replay.on(
        "DELETE",
        IMAGE,
        Answer::recorded("06-restore-and-delete", 6),
    );
    let none = json!({"images": []});
    replay.on("GET", "/image/v2/images", Answer::new(200, none));
    let listed = Answer::recorded(TAKEN, 7).body;
    let listed = listed["snapshots"].as_array().unwrap();
    for id in snapshots() {
        let of = on_volumes(&format!("/snapshots/{id}"));
        let seen = listed.iter().find(|it| it["id"] == id.as_str());
        replay.on("GET", &of, Answer::new(200, json!({"snapshot": seen})));
        let kept = Answer::new(200, json!({"metadata": {}}));
        replay.on("POST", &format!("{of}/metadata"), kept);
        replay.on("PUT", &of, Answer::new(200, json!({"snapshot": {}})));
    }
    replay
}

/// The ids of the Cinder snapshots that Nova made, of the root disk first.
fn snapshots() -> Vec<String> {
    let image = Answer::recorded(TAKEN, 5).body;
    let mapping: Value =
        serde_json::from_str(image["block_device_mapping"].as_str().unwrap()).unwrap();
    let mapped = mapping.as_array().unwrap().iter();
    mapped
        .map(|it| it["snapshot_id"].as_str().unwrap().to_owned())
        .collect()
}

fn take(quiesce: Option<Duration>) -> Operation {
    let part = |id: &str| DiskOf {
        disk: id.to_owned(),
        volume: reference(&format!("volume/{id}")),
    };
    Operation::Snapshot(TakeSnapshot {
        source: instance(),
        parts: vec![part(ROOT), part(DATA)],
        name: "before".into(),
        labels: [("purpose".to_owned(), "test".to_owned())].into(),
        group: true,
        quiesce,
        memory: Memory::No,
        copy: stillpoint_core::CopyKind::Shallow,
    })
}

/// The recorded snapshots, with the marks that they were asked to have.
fn marked(replay: &Replay) -> Answer {
    let mut listed = Answer::recorded(TAKEN, 7);
    for one in listed.body["snapshots"].as_array_mut().unwrap() {
        let id = one["id"].as_str().unwrap();
        let path = on_volumes(&format!("/snapshots/{id}/metadata"));
        if let Some(asked) = replay.asked("POST", &path).first() {
            one["metadata"] = asked.body["metadata"].clone();
            one["status"] = "available".into();
        }
    }
    listed
}

/// What Cinder says of a volume that was made of such an image.
fn both() -> Value {
    let volume = Answer::noted(FAILED, "a volume made of it").body;
    let said = &volume["volume"]["volume_image_metadata"];
    let both = ["hw_qemu_guest_agent", "os_require_quiesce"];
    both.map(|name| (name, said[name].clone()))
        .into_iter()
        .collect()
}

const FREEZE: Option<Duration> = Some(Duration::from_secs(60));

#[tokio::test]
async fn both_properties_grant_a_frozen_snapshot_of_all_volumes() {
    let replay = cloud(both()).await;
    let prod = provider(&replay);
    let can = prod.outlook(&instance()).await.unwrap().can.unwrap();
    assert_eq!(
        (can.live, can.composite),
        (Some(Consistency::Filesystem), true)
    );
    submit(&prod, &take(FREEZE)).await.unwrap();
    let asked = &replay.asked("POST", &on_server("/action"))[0].body["createImage"];
    let name = asked["name"].as_str().unwrap();
    assert!(name.contains(key().as_str()), "{name}");
    let own = json!({"stillpoint.key": key().as_str()});
    assert_eq!(asked["metadata"], own, "and no labels");
    for id in snapshots() {
        let path = on_volumes(&format!("/snapshots/{id}"));
        let marks = &replay.asked("POST", &format!("{path}/metadata"))[0].body["metadata"];
        assert_eq!(marks["stillpoint.key"], key().as_str());
        assert_eq!(marks["purpose"], "test");
        let (disk, boot) = if id == snapshots()[0] {
            ("vda", "yes")
        } else {
            ("data", "no")
        };
        assert_eq!(marks["stillpoint.instance"], SERVER);
        assert_eq!(
            (&marks["stillpoint.disk"], &marks["stillpoint.boot"]),
            (&json!(disk), &json!(boot))
        );
        let renamed = &replay.asked("PUT", &path)[0].body["snapshot"]["name"];
        assert_eq!(renamed, "before");
    }
    assert_eq!(
        replay.asked("DELETE", IMAGE).len(),
        1,
        "it was only the list"
    );

    replay.on("GET", &on_volumes("/snapshots/detail"), marked(&replay));
    let Observation::Done {
        output: Output::Snapshot(taken),
        twins,
    } = observe(&prod, &take(FREEZE)).await
    else {
        panic!("it is done");
    };
    assert!(twins.is_empty());
    let of: Vec<_> = taken.parts.iter().map(|part| part.volume.id()).collect();
    assert_eq!(of, [ROOT, DATA]);
    assert_eq!(
        (taken.consistency, taken.capture),
        (Consistency::Filesystem, Capture::Live)
    );
}

#[tokio::test]
async fn without_both_it_is_refused_and_nothing_is_asked() {
    for (properties, lacks) in [
        (json!({}), "hw_qemu_guest_agent and os_require_quiesce"),
        (json!({"os_require_quiesce": "yes"}), "hw_qemu_guest_agent"),
        (json!({"hw_qemu_guest_agent": "yes"}), "os_require_quiesce"),
    ] {
        let replay = cloud(properties).await;
        let prod = provider(&replay);
        let outlook = prod.outlook(&instance()).await.unwrap();
        assert_eq!(outlook.can, None);
        assert_eq!(
            outlook.short_of.unwrap(),
            format!("its image lacks {lacks}")
        );
        let error = submit(&prod, &take(FREEZE)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(lacks), "{error}");
        assert!(replay.asked("POST", &on_server("/action")).is_empty());
    }
}

#[tokio::test]
async fn what_nova_was_not_told_when_it_launched_is_not_claimed() {
    let replay = cloud(both()).await;
    // The volume says so now; the instance's own copy, which the new image has, does not.
    replay.instead("GET", IMAGE, Answer::recorded(TAKEN, 5));
    let prod = provider(&replay);
    submit(&prod, &take(FREEZE)).await.unwrap();
    replay.on("GET", &on_volumes("/snapshots/detail"), marked(&replay));
    let Observation::Done {
        output: Output::Snapshot(taken),
        ..
    } = observe(&prod, &take(FREEZE)).await
    else {
        panic!("it is done");
    };
    assert_eq!(taken.consistency, Consistency::Crash);
}

#[tokio::test]
async fn a_freeze_that_nova_could_not_do_is_told_as_that() {
    let replay = cloud(both()).await;
    let fault = Answer::noted(FAILED, "its snapshot, which needs freezing");
    replay.instead("POST", &on_server("/action"), fault);
    let none = Answer::noted(FAILED, "and nothing was made");
    replay.on("GET", &on_volumes("/snapshots/detail"), none);
    let error = submit(&provider(&replay), &take(FREEZE)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Precondition, World::Untouched)
    );
    // A fault of another kind is no matter of freezing.
    let fault = json!({"computeFault": {"code": 500, "message":
        "Unexpected API Error.\n<class 'cinderclient.exceptions.ClientException'>"}});
    replay.instead("POST", &on_server("/action"), Answer::new(500, fault));
    let error = submit(&provider(&replay), &take(FREEZE)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Unavailable, World::Unknown)
    );
}

#[tokio::test]
async fn what_need_not_be_frozen_is_taken_by_cinder_though_nova_would_freeze_it() {
    let replay = cloud(both()).await;
    let prod = provider(&replay);
    let post = on_volumes("/snapshots");
    let made = Answer::recorded("05-live-snapshots-quota-paging-tokens", 1);
    replay.on("POST", &post, made.clone());
    submit(&prod, &take(None)).await.unwrap();
    assert!(replay.asked("POST", &on_server("/action")).is_empty());
    let asked = replay.asked("POST", &post);
    let of: Vec<_> = asked
        .iter()
        .map(|it| it.body["snapshot"]["volume_id"].as_str().unwrap())
        .collect();
    assert_eq!(of, [ROOT, DATA]);
    let disks: Vec<_> = asked
        .iter()
        .map(|it| it.body["snapshot"]["metadata"]["stillpoint.disk"].clone())
        .collect();
    assert_eq!(disks, ["vda", "data"]);

    // By the key alone: what is new may not be all.
    let all = on_volumes("/snapshots/detail");
    let now = jiff::Timestamp::now();
    let now = now.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string();
    let with = |count: usize, status: &str, at: &str| {
        let of = asked.iter().take(count).enumerate().map(|(number, it)| {
            let mut one = it.body["snapshot"].clone();
            one["id"] = number.to_string().into();
            one["status"] = status.into();
            one["size"] = 1.into();
            one["created_at"] = at.into();
            one
        });
        let listed = json!({"snapshots": of.collect::<Vec<_>>()});
        replay.instead("GET", &all, Answer::new(200, listed));
    };
    let old = "2026-11-21T00:03:14.000000";
    for (count, status, at) in [
        (1, "available", &*now),
        (1, "creating", old),
        (2, "creating", old),
    ] {
        with(count, status, at);
        let seen = observe(&prod, &take(None)).await;
        assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    }
    with(1, "available", old);
    let Observation::Failed { left, .. } = observe(&prod, &take(None)).await else {
        panic!("it failed");
    };
    assert_eq!(left.len(), 1);
    with(2, "available", &now);
    let Observation::Done { output, .. } = observe(&prod, &take(None)).await else {
        panic!("it is done");
    };
    let Output::Snapshot(taken) = output else {
        panic!("{output:?}");
    };
    assert_eq!(taken.parts.len(), 2);
    assert_eq!(taken.consistency, Consistency::Crash);

    // The second is refused: the first is there.
    replay.instead("POST", &post, made);
    let full = Answer::recorded("05-live-snapshots-quota-paging-tokens", 33);
    replay.on("POST", &post, full);
    let error = submit(&prod, &take(None)).await.unwrap_err();
    assert_eq!(error.world(), World::Unknown);
}

#[tokio::test]
async fn what_was_cut_off_is_found_by_its_name_and_told() {
    let replay = cloud(both()).await;
    let prod = provider(&replay);
    let mut listed = Answer::recorded(TAKEN, 7);
    let ours = format!("snapshot for before {}", key().as_str());
    for one in listed.body["snapshots"].as_array_mut().unwrap() {
        if one["name"] == "snapshot for snap-bfv" {
            one["name"] = ours.as_str().into();
        }
    }
    // Nova goes on when whoever asked is gone: what is new may not be all.
    let all = on_volumes("/snapshots/detail");
    let mut early = listed.clone();
    for one in early.body["snapshots"].as_array_mut().unwrap() {
        let now = jiff::Timestamp::now();
        one["created_at"] = now.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string().into();
    }
    replay.on("GET", &all, early);
    let seen = observe(&prod, &take(FREEZE)).await;
    assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    replay.instead("GET", &all, listed);
    let Observation::Failed { left, .. } = observe(&prod, &take(FREEZE)).await else {
        panic!("it failed");
    };
    let mut ids: Vec<_> = left.iter().map(|it| it.id().to_owned()).collect();
    let mut theirs = snapshots();
    ids.sort();
    theirs.sort();
    assert_eq!(ids, theirs);
}

#[tokio::test]
async fn ports_and_addresses_are_told_as_not_held_and_the_quota_as_it_is() {
    let replay = cloud(json!({})).await;
    let mut ports = Answer::noted("09-ports", "its ports");
    let port = &mut ports.body["interfaceAttachments"][0];
    // The lab has no agents that would bind a port with a tag; where it has none it was heard.
    assert!(port["tag"].is_null());
    port["tag"] = "uplink".into();
    replay.on("GET", &on_server("/os-interface"), ports);
    let outlook = provider(&replay).outlook(&instance()).await.unwrap();
    let omitted: Vec<_> = outlook.omitted.iter().map(ToString::to_string).collect();
    assert_eq!(
        omitted,
        [
            "port c96e3971-2659-40f0-abb7-41038d404456 (the provider cannot capture it)",
            "address 10.1.2.7 (the provider cannot capture it)",
            "device tag `uplink` of port c96e3971-2659-40f0-abb7-41038d404456 (the provider cannot capture it)",
        ]
    );
    assert_eq!(outlook.reverts, Reverts::ToLatest);
    let recorded = Answer::recorded("05-live-snapshots-quota-paging-tokens", 35).body;
    let recorded = &recorded["limits"]["absolute"];
    let left = recorded["maxTotalSnapshots"].as_u64().unwrap()
        - recorded["totalSnapshotsUsed"].as_u64().unwrap();
    assert_eq!(outlook.snapshots_left, Some(left));
}
