//! Images that are made of snapshots, in several calls.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use stillpoint_core::{ErrorKind, Labels, World};
use stillpoint_iaas::{Observation, Operation};
use stillpoint_openstack::NewImage;

use crate::bed::{
    key, observe, on_volumes, provider, reference, submit, take, volume, with_volume,
};
use crate::server::{Answer, Replay};

const UPLOADED: &str = "stillpoint makes job-1.take";

fn create() -> Operation {
    create_from("snapshot/s")
}

fn create_from(from: &str) -> Operation {
    Operation::CreateImage {
        name: "golden".into(),
        labels: Labels::from([("purpose".to_owned(), "test".to_owned())]),
        from: reference(from),
    }
}

fn between(status: &str) -> Value {
    let mut between = volume("v", status, &[]);
    between["metadata"] = json!({"stillpoint.key": key().as_str()});
    between
}

fn image(name: &str, status: &str) -> Value {
    json!({"id": "i", "name": name, "status": status, "size": 1})
}

/// What the cloud lists.
fn with(replay: &Replay, volumes: Value, images: Value) {
    let volumes = Answer::new(200, json!({"volumes": volumes}));
    replay.instead("GET", &on_volumes("/volumes/detail"), volumes);
    let images = Answer::new(200, json!({"images": images}));
    replay.instead("GET", "/image/v2/images", images);
}

#[tokio::test]
async fn an_image_has_its_key_in_its_name_until_one_call_marks_it() {
    let replay = Replay::new().await;
    let source = json!({"id": "s", "status": "available", "size": 1, "volume_id": "o"});
    let source = Answer::new(200, json!({"snapshot": source}));
    replay.on("GET", &on_volumes("/snapshots/s"), source);
    let of = on_volumes("/volumes/v");
    let made = |status| Answer::new(200, json!({"volume": between(status)}));
    replay.on("POST", &on_volumes("/volumes"), made("creating"));
    for status in ["available", "uploading", "available"] {
        replay.on("GET", &of, made(status));
    }
    replay.on(
        "GET",
        &of,
        Answer::recorded("03-cinder-volumes-snapshots", 26),
    );
    replay.on("DELETE", &of, Answer::new(202, Value::Null));
    let uploading = json!({"os-volume_upload_image": {"image_id": "i"}});
    let upload = format!("{of}/action");
    replay.on("POST", &upload, Answer::new(202, uploading));
    let path = "/image/v2/images/i";
    replay.on("PATCH", path, Answer::new(200, image("golden", "saving")));
    replay.on("GET", path, Answer::new(200, image("golden", "active")));
    let mut listed = image("golden", "active");
    listed["stillpoint.key"] = key().as_str().into();
    with(&replay, json!([]), json!([listed]));

    let prod = provider(&replay);
    submit(&prod, &create()).await.unwrap();
    let done = async {
        while !matches!(observe(&prod, &create()).await, Observation::Done { .. }) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), done).await;
    ended.expect("it is made");
    let asked = &replay.asked("POST", &upload)[0].body["os-volume_upload_image"];
    assert_eq!(asked["image_name"], UPLOADED);
    let patches = replay.asked("PATCH", path);
    assert_eq!(patches.len(), 1, "all of it or none");
    for (name, value) in [
        ("/name", "golden"),
        ("/purpose", "test"),
        ("/stillpoint.key", key().as_str()),
    ] {
        let set = json!({"op": "add", "path": name, "value": value});
        assert!(patches[0].body.as_array().unwrap().contains(&set), "{name}");
    }
}

#[tokio::test]
async fn an_image_is_copied_by_way_of_a_volume_as_large_as_it_wants() {
    let replay = Replay::new().await;
    let mut source = Answer::recorded("02-image-backed-snapshot", 9);
    source.body["min_disk"] = 3.into();
    let id = source.body["id"].as_str().unwrap().to_owned();
    let path = format!("/image/v2/images/{id}");
    let made = json!({"volume": between("creating")});
    replay.on("POST", &on_volumes("/volumes"), Answer::new(202, made));
    let mut early = source.clone();
    early.body["status"] = "saving".into();
    replay.on("GET", &path, early);
    replay.on("GET", &path, source);
    let create = create_from(&format!("image/{id}"));
    let prod = provider(&replay);
    let error = submit(&prod, &create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    submit(&prod, &create).await.unwrap();
    let restore = Operation::CreateVolume {
        name: "root".into(),
        labels: Labels::new(),
        size: 1 << 30,
        from: Some(reference(&format!("image/{id}"))),
    };
    submit(&prod, &restore).await.unwrap();
    for asked in replay.asked("POST", &on_volumes("/volumes")) {
        let asked = &asked.body["volume"];
        assert_eq!(asked["imageRef"], id.as_str());
        assert_eq!(asked["size"], 3);
        assert_eq!(asked["metadata"]["stillpoint.key"], key().as_str());
    }
}

#[tokio::test]
async fn an_image_that_nobody_carries_on_is_left_when_the_cloud_is_done_with_it() {
    let replay = Replay::new().await;
    let prod = provider(&replay);
    let mut complete = image("golden", "active");
    complete["stillpoint.key"] = key().as_str().into();
    for (volumes, images) in [
        (json!([between("creating")]), json!([])),
        (json!([between("downloading")]), json!([])),
        (
            json!([between("uploading")]),
            json!([image(UPLOADED, "saving")]),
        ),
        (json!([between("uploading")]), json!([complete])),
        (json!([between("deleting")]), json!([])),
    ] {
        with(&replay, volumes, images);
        let seen = observe(&prod, &create()).await;
        assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    }
    for (volumes, images, all) in [
        (json!([between("available")]), json!([]), 1),
        (json!([between("error")]), json!([]), 1),
        (
            json!([between("available")]),
            json!([image(UPLOADED, "active")]),
            2,
        ),
        (json!([]), json!([image(UPLOADED, "queued")]), 1),
    ] {
        with(&replay, volumes, images);
        let Observation::Failed { left, error } = observe(&prod, &create()).await else {
            panic!("it failed");
        };
        assert_eq!((left.len(), error.world()), (all, World::Changed));
    }
    with(&replay, json!([between("available")]), json!([complete]));
    let Observation::Done { twins, output } = observe(&prod, &create()).await else {
        panic!("it is done");
    };
    assert_eq!(output.created(), [reference("image/i")]);
    assert_eq!(twins, [reference("volume/v")]);
}

#[tokio::test]
async fn a_volume_that_is_being_made_is_deleted_later() {
    let replay = Replay::new().await;
    let path = on_volumes("/volumes/v");
    replay.on("DELETE", &path, Answer::new(202, Value::Null));
    let prod = provider(&replay);
    let delete = Operation::DeleteVolume {
        volume: reference("volume/v"),
    };
    for status in ["creating", "downloading", "uploading", "backing-up"] {
        let seen = json!({"volume": between(status)});
        replay.instead("GET", &path, Answer::new(200, seen));
        let error = submit(&prod, &delete).await.unwrap_err();
        let (kind, world) = (error.kind(), error.world());
        assert_eq!((kind, world), (ErrorKind::Busy, World::Untouched));
    }
    assert!(replay.asked("DELETE", &path).is_empty());
    let seen = json!({"volume": between("available")});
    replay.instead("GET", &path, Answer::new(200, seen));
    submit(&prod, &delete).await.unwrap();
}

#[tokio::test]
async fn labels_that_services_read_of_an_image_are_refused_before_anything_is_asked() {
    let replay = Replay::new().await;
    let prod = provider(&replay);
    for name in [
        "owner",
        "protected",
        "visibility",
        "hw_disk_bus",
        "os_type",
        "img_x",
    ] {
        let labels = Labels::from([(name.to_owned(), "x".to_owned())]);
        let mut root = take("root-of-s");
        if let Operation::Snapshot(take) = &mut root {
            take.labels = labels.clone();
        }
        let create = Operation::CreateImage {
            name: "golden".into(),
            labels: labels.clone(),
            from: reference("snapshot/s"),
        };
        let set = Operation::SetLabels {
            resource: reference("image/i"),
            labels: labels.clone(),
        };
        let mut refused = Vec::new();
        for operation in [root, create, set] {
            refused.push(submit(&prod, &operation).await.unwrap_err());
        }
        let new = NewImage::new("in", "raw").label(name, "x");
        let bytes = futures_util::stream::empty().boxed();
        let uploaded = prod.upload_image(&key(), &new, bytes).await;
        refused.push(uploaded.unwrap_err());
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(error.message().contains(name), "{error}");
        }
        // A volume's labels stand by themselves.
        with_volume(&replay, "v", "available", &[]);
        let volume = Operation::SetLabels {
            resource: reference("volume/v"),
            labels,
        };
        let kept = Answer::new(200, json!({"metadata": {}}));
        replay.instead("POST", &on_volumes("/volumes/v/metadata"), kept);
        submit(&prod, &volume).await.unwrap();
    }
}
