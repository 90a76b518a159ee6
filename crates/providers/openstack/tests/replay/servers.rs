use serde_json::{Value, json};
use stillpoint_core::{
    Capture, Consistency, CopyKind, Detail, ErrorKind, Labels, Power, ResourceKind, ResourceRef,
    World,
};
use stillpoint_iaas::{Filter, Observation, Operation, Output, Provider, ProviderExt, Ticket};

use crate::bed::{
    key, observe, on_volumes, provider, reference, submit, take, volume, with_volume,
};
use crate::server::{Answer, Replay};

pub(crate) const SERVER: &str = "d6ffb6cc-99f3-491c-adc7-8b667425aaf0";
const BACKED: &str = "02-image-backed-snapshot";

pub(crate) fn on_server(path: &str) -> String {
    format!("/compute/v2.1/servers/{SERVER}{path}")
}

/// A server as recorded, in this state.
pub(crate) fn with_server(replay: &Replay, status: &str, task: Option<&str>, image: Value) {
    let mut server = Answer::recorded("01-image-backed", 12);
    let body = &mut server.body["server"];
    body["status"] = status.into();
    body["OS-EXT-STS:task_state"] = task.into();
    body["OS-EXT-STS:power_state"] = if status == "SHUTOFF" { 4 } else { 1 }.into();
    if !image.is_null() {
        body["image"] = image;
    }
    replay.instead("GET", &on_server(""), server);
}

pub(crate) fn with_attached(replay: &Replay, attached: Value) {
    let body = json!({"volumeAttachments": attached});
    replay.instead(
        "GET",
        &on_server("/os-volume_attachments"),
        Answer::new(200, body),
    );
}

fn with_images(replay: &Replay, images: Value) {
    replay.instead(
        "GET",
        "/image/v2/images",
        Answer::new(200, json!({"images": images})),
    );
}

pub(crate) fn instance() -> ResourceRef {
    reference(&format!("instance/{SERVER}"))
}

#[tokio::test]
async fn an_instance_has_its_disks_by_tag_or_device_and_the_boot_disk_first() {
    let replay = Replay::new().await;
    with_server(&replay, "ACTIVE", None, "".into());
    with_attached(
        &replay,
        json!([
            {"volumeId": "v2", "device": "/dev/vdb", "tag": "data"},
            {"volumeId": "v1", "device": "/dev/vda", "tag": null},
        ]),
    );
    for id in ["v1", "v2"] {
        let body = json!({"volume": volume(id, "in-use", &[SERVER])});
        replay.on(
            "GET",
            &on_volumes(&format!("/volumes/{id}")),
            Answer::new(200, body),
        );
    }
    let seen = provider(&replay).describe(&instance()).await.unwrap();
    assert_eq!(
        seen.labels,
        Labels::from([("role".to_owned(), "web".to_owned())])
    );
    let Detail::Instance { power, disks } = seen.detail else {
        panic!()
    };
    let disks: Vec<_> = disks
        .iter()
        .map(|disk| (&*disk.name, disk.volume.as_ref().unwrap().id(), disk.boot))
        .collect();
    assert_eq!(
        (power, disks),
        (Power::On, vec![("vda", "v1", true), ("data", "v2", false)])
    );
}

#[tokio::test]
async fn the_root_disk_of_an_image_backed_instance_is_taken_as_an_image() {
    let replay = Replay::new().await;
    with_server(&replay, "ACTIVE", None, Value::Null);
    with_attached(&replay, json!([]));
    let prod = provider(&replay);
    let Detail::Instance { disks, .. } = prod.describe(&instance()).await.unwrap().detail else {
        panic!()
    };
    let root = disks[0].volume.clone().unwrap();
    assert_eq!(prod.describe(&root).await.unwrap().name, "web1 root");

    replay.on("POST", &on_server("/action"), Answer::recorded(BACKED, 2));
    let take = take(root.id());
    assert_eq!(
        submit(&prod, &take).await.unwrap(),
        "fc1d8c31-e678-4f6a-a4bd-0e603c5586ee"
    );
    let metadata = &replay.asked("POST", &on_server("/action"))[0].body["createImage"]["metadata"];
    assert_eq!(metadata["stillpoint.key"], key().as_str());
    assert_eq!(metadata["stillpoint.flavor"], "m1.nano");

    let mut image = Answer::recorded(BACKED, 9).body;
    image["stillpoint.key"] = key().as_str().into();
    image["stillpoint.capture"] = "live".into();
    with_images(&replay, json!([image]));
    // The image is active a moment before the server is free.
    with_server(&replay, "ACTIVE", Some("image_uploading"), Value::Null);
    assert!(matches!(
        observe(&prod, &take).await,
        Observation::Running { .. }
    ));
    with_server(&replay, "ACTIVE", None, Value::Null);
    let Observation::Done {
        output: Output::Snapshot(taken),
        ..
    } = observe(&prod, &take).await
    else {
        panic!()
    };
    let part = &taken.parts[0];
    assert_eq!(
        part.snapshot,
        reference("image/fc1d8c31-e678-4f6a-a4bd-0e603c5586ee")
    );
    assert_eq!((part.copy, part.size), (CopyKind::Full, 1 << 30));
    assert_eq!(
        (taken.consistency, taken.capture),
        (Consistency::Crash, Capture::Live)
    );

    replay.instead("POST", &on_server("/action"), Answer::recorded(BACKED, 3));
    let error = submit(&prod, &take).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn an_image_takes_its_snapshots_along() {
    let replay = Replay::new().await;
    let image = Answer::recorded("04b-volume-backed-server-snapshots", 5);
    let id = image.body["id"].as_str().unwrap().to_owned();
    let text = image.body["block_device_mapping"].as_str().unwrap();
    let mapped: Vec<Value> = serde_json::from_str(text).unwrap();
    let snapshots: Vec<_> = mapped
        .iter()
        .map(|it| it["snapshot_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(snapshots.len(), 2);
    let path = format!("/image/v2/images/{id}");
    replay.on("GET", &path, image);
    replay.on(
        "DELETE",
        &path,
        Answer::recorded("06-restore-and-delete", 6),
    );
    let marked: Vec<_> = snapshots.iter().map(|snapshot| {
        json!({"id": snapshot, "status": "available", "size": 1, "volume_id": "v", "metadata": {"stillpoint.deleted_with": id}})
    }).collect();
    for one in &marked {
        let of = format!("/snapshots/{}", one["id"].as_str().unwrap());
        replay.on(
            "POST",
            &on_volumes(&format!("{of}/metadata")),
            Answer::new(200, json!({"metadata": {}})),
        );
        replay.on(
            "GET",
            &on_volumes(&of),
            Answer::new(200, json!({"snapshot": one})),
        );
        replay.on("DELETE", &on_volumes(&of), Answer::new(202, Value::Null));
    }
    replay.on(
        "GET",
        &on_volumes("/snapshots/detail"),
        Answer::new(200, json!({"snapshots": marked})),
    );
    replay.on(
        "GET",
        &on_volumes("/volumes/detail"),
        Answer::new(200, json!({"volumes": []})),
    );
    let delete = Operation::DeleteImage {
        image: reference(&format!("image/{id}")),
    };
    let prod = provider(&replay);
    // One that is still being taken keeps the image, and all of them.
    let last = on_volumes(&format!("/snapshots/{}", snapshots[1]));
    let with_last = |status: &str| {
        let mut one = marked[1].clone();
        one["status"] = status.into();
        replay.instead("GET", &last, Answer::new(200, json!({"snapshot": one})));
    };
    with_last("creating");
    let error = submit(&prod, &delete).await.unwrap_err();
    let (kind, world) = (error.kind(), error.world());
    assert_eq!((kind, world), (ErrorKind::Busy, World::Untouched));
    assert!(replay.asked("DELETE", &path).is_empty());
    let first = on_volumes(&format!("/snapshots/{}/metadata", snapshots[0]));
    assert!(replay.asked("POST", &first).is_empty());

    // Busy only when the image is gone, it is found by whoever asks again.
    with_last("available");
    let busy = Answer::recorded(BACKED, 3);
    replay.instead("DELETE", &last, busy);
    let error = submit(&prod, &delete).await.unwrap_err();
    let (kind, world) = (error.kind(), error.world());
    assert_eq!((kind, world), (ErrorKind::Busy, World::Changed));
    assert_eq!(replay.asked("DELETE", &path).len(), 1);
    for snapshot in &snapshots {
        let of = on_volumes(&format!("/snapshots/{snapshot}/metadata"));
        let marks = &replay.asked("POST", &of)[0].body["metadata"];
        assert_eq!(marks["stillpoint.deleted_with"], id.as_str());
    }
    replay.instead("DELETE", &last, Answer::new(202, Value::Null));
    let gone = Answer::recorded("06-restore-and-delete", 8);
    replay.instead("GET", &path, gone);
    let again = "job-2.gone".parse().unwrap();
    let seen = prod.observe(&again, &delete, None).await.unwrap();
    assert!(matches!(seen, Observation::Absent), "{seen:?}");
    prod.submit(&again, &delete).await.unwrap();
    for id in &snapshots {
        assert_eq!(
            replay
                .asked("DELETE", &on_volumes(&format!("/snapshots/{id}")))
                .len(),
            2
        );
    }
    // One that Cinder gave up is not waited for.
    let ticket = Ticket::new(id);
    for status in ["deleting", "error_deleting", "available"] {
        let mut stuck = marked.clone();
        stuck[0]["status"] = "deleting".into();
        stuck[1]["status"] = status.into();
        let listed = Answer::new(200, json!({"snapshots": stuck}));
        replay.instead("GET", &on_volumes("/snapshots/detail"), listed);
        let seen = prod.observe(&key(), &delete, Some(&ticket)).await.unwrap();
        match seen {
            Observation::Running { .. } => assert_eq!(status, "deleting"),
            Observation::Failed { error, left } => {
                assert!(error.message().contains(&format!("`{status}`")), "{error}");
                assert_eq!(left.len(), 2);
            }
            other => panic!("{other:?}"),
        }
    }
    replay.instead(
        "GET",
        &on_volumes("/snapshots/detail"),
        Answer::new(200, json!({"snapshots": []})),
    );
    assert!(matches!(
        observe(&prod, &delete).await,
        Observation::Done { .. }
    ));
}

#[tokio::test]
async fn filesystem_consistency_is_refused_where_nothing_freezes() {
    let replay = Replay::new().await;
    let mut ask = take("v");
    if let Operation::Snapshot(take) = &mut ask {
        take.quiesce = Some(std::time::Duration::from_secs(60));
    }
    let error = submit(&provider(&replay), &ask).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("Crash reachable"), "{error}");
}

#[tokio::test]
async fn a_rebuilt_root_disk_is_done_when_its_instance_is_off_again() {
    let replay = Replay::new().await;
    let prod = provider(&replay);
    let revert = Operation::Revert {
        volume: reference(&format!("volume/root-of-{SERVER}")),
        to: reference("image/i"),
    };
    let rebuilt = |status: &str, power: u64, updated: String| {
        let mut server = Answer::recorded("01-image-backed", 12);
        let body = &mut server.body["server"];
        body["metadata"]["stillpoint.reverted"] = key().as_str().into();
        body["status"] = status.into();
        body["OS-EXT-STS:task_state"] = Value::Null;
        body["OS-EXT-STS:power_state"] = power.into();
        body["updated"] = updated.into();
        replay.instead("GET", &on_server(""), server);
    };
    let now = || {
        jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    };
    // As Nova has it for a moment, before it stops what it started.
    rebuilt("ACTIVE", 1, now());
    let seen = observe(&prod, &revert).await;
    assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    for (status, power, updated) in [
        ("SHUTOFF", 4, now()),
        ("ACTIVE", 1, "2026-11-20T23:40:13Z".to_owned()),
    ] {
        rebuilt(status, power, updated);
        let seen = observe(&prod, &revert).await;
        assert!(matches!(seen, Observation::Done { .. }), "{seen:?}");
    }
}

#[tokio::test]
async fn a_server_is_listed_whatever_became_of_its_volumes_and_its_cell() {
    let replay = Replay::new().await;
    with_server(&replay, "ACTIVE", None, "".into());
    with_attached(
        &replay,
        json!([
            {"volumeId": "v", "device": "/dev/vda"},
            {"volumeId": "stale", "device": "/dev/vdb"},
        ]),
    );
    let one = volume("v", "in-use", &[SERVER]);
    let path = on_volumes("/volumes/v");
    replay.on("GET", &path, Answer::new(200, json!({"volume": &one})));
    let listed = json!({"volumes": [one]});
    let path = on_volumes("/volumes/detail");
    replay.on("GET", &path, Answer::new(200, listed));
    let limits = Answer::recorded("05-live-snapshots-quota-paging-tokens", 35);
    replay.on("GET", &on_volumes("/limits"), limits);
    let mut server = Answer::recorded("01-image-backed", 12).body["server"].take();
    server["image"] = "".into();
    let down = json!({"id": "d", "status": "UNKNOWN", "links": []});
    let servers = json!({"servers": [server, down]});
    let path = "/compute/v2.1/servers/detail";
    replay.on("GET", path, Answer::new(200, servers));
    let of_down = "/compute/v2.1/servers/d/os-volume_attachments";
    replay.on("GET", of_down, Answer::new(500, Value::Null));

    let prod = provider(&replay);
    let all = prod.list_all(&Filter::kind(ResourceKind::Instance)).await;
    let all = all.unwrap();
    let ids: Vec<_> = all.iter().map(|it| it.reference.id()).collect();
    assert_eq!(ids, [SERVER, "d"]);
    let described = prod.describe(&instance()).await.unwrap();
    assert_eq!(described.fingerprint, all[0].fingerprint);
    let Detail::Instance { disks, .. } = described.detail else {
        panic!()
    };
    let disks: Vec<_> = disks
        .iter()
        .map(|it| (it.volume.is_some(), it.size))
        .collect();
    assert_eq!(disks, [(true, 1 << 30), (false, 0)]);
    let outlook = prod.outlook(&instance()).await.unwrap();
    assert_eq!(outlook.can, None);
    assert!(outlook.short_of.unwrap().contains("not in Cinder"));
}

#[tokio::test]
async fn a_snapshot_remembers_which_disk_of_which_server_it_is_of() {
    let replay = Replay::new().await;
    with_server(&replay, "SHUTOFF", None, "".into());
    with_attached(
        &replay,
        json!([
            {"volumeId": "v2", "device": "/dev/vdb", "tag": "data"},
            {"volumeId": "v1", "device": "/dev/vda", "tag": null},
        ]),
    );
    let posted = Answer::recorded("05-live-snapshots-quota-paging-tokens", 1);
    replay.on("POST", &on_volumes("/snapshots"), posted);
    for (id, disk, boot) in [("v1", "vda", "yes"), ("v2", "data", "no")] {
        with_volume(&replay, id, "in-use", &[SERVER]);
        submit(&provider(&replay), &take(id)).await.unwrap();
        let asked = replay.asked("POST", &on_volumes("/snapshots"));
        let marks = &asked.last().unwrap().body["snapshot"]["metadata"];
        assert_eq!(marks["stillpoint.instance"], SERVER);
        assert_eq!(marks["stillpoint.disk"], disk);
        assert_eq!(marks["stillpoint.boot"], boot);
        assert_eq!(marks["stillpoint.capture"], "offline");
    }
}
