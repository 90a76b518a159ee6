//! Instances that are made and deleted.

use serde_json::{Value, json};
use stillpoint_core::{ErrorKind, Labels, Retry, World};
use stillpoint_iaas::{NewDisk, Observation, Operation, Provider, Ticket};
use stillpoint_openstack::{Launch, Networks, OpenStack};

use crate::bed::{config, key, observe, on_volumes, provider, reference, submit, volume};
use crate::server::{Answer, Replay};
use crate::servers::{instance, on_server, with_attached, with_server};

#[tokio::test]
async fn a_new_instance_gets_what_its_snapshot_remembers_unless_told_otherwise() {
    let replay = Replay::new().await;
    let mut boots = volume("v", "available", &[]);
    boots["snapshot_id"] = "s".into();
    replay.on(
        "GET",
        &on_volumes("/volumes/v"),
        Answer::new(200, json!({"volume": boots})),
    );
    let remembers = json!({"id": "s", "status": "available", "size": 1, "volume_id": "old", "metadata": {
        "stillpoint.flavor": "m1.nano", "stillpoint.networks": "n1 n2", "stillpoint.key_pair": "mine"}});
    replay.on(
        "GET",
        &on_volumes("/snapshots/s"),
        Answer::new(200, json!({"snapshot": &remembers})),
    );
    replay.on(
        "GET",
        "/compute/v2.1/flavors",
        Answer::recorded("01-image-backed", 10),
    );
    replay.on(
        "POST",
        "/compute/v2.1/servers",
        Answer::recorded("01-image-backed", 11),
    );
    let create = Operation::CreateInstance {
        name: "web2".into(),
        labels: Labels::new(),
        disks: vec![NewDisk {
            name: "root".into(),
            volume: reference("volume/v"),
            boot: true,
        }],
    };
    submit(&provider(&replay), &create).await.unwrap();
    // The disk on a hypervisor has an image for its snapshot.
    let mut boots = volume("v", "available", &[]);
    boots["volume_image_metadata"] = remembers["metadata"].clone();
    let path = on_volumes("/volumes/v");
    replay.instead("GET", &path, Answer::new(200, json!({"volume": boots})));
    submit(&provider(&replay), &create).await.unwrap();
    let told = OpenStack::builder("prod", config(&replay.url))
        .launch(Launch::default().flavor("m1.eph").networks(Networks::None))
        .build()
        .unwrap();
    submit(&told, &create).await.unwrap();
    let asked = replay.asked("POST", "/compute/v2.1/servers");
    let server = &asked[0].body["server"];
    assert_eq!(server["networks"], json!([{"uuid": "n1"}, {"uuid": "n2"}]));
    assert_eq!(server["key_name"], "mine");
    assert_eq!(server["metadata"]["stillpoint.key"], key().as_str());
    let disk = &server["block_device_mapping_v2"][0];
    assert_eq!(
        (&disk["tag"], &disk["delete_on_termination"]),
        (&json!("root"), &json!(false))
    );
    assert_eq!(asked[1].body, asked[0].body);
    let other = &asked[2].body["server"];
    assert_eq!(other["networks"], "none");
    assert_ne!(other["flavorRef"], server["flavorRef"]);
}

#[tokio::test]
async fn what_a_new_instance_lacks_is_known_before_anything_is_made() {
    let replay = Replay::new().await;
    let snapshot = |metadata: Value| {
        let body = json!({"id": "s", "status": "available", "size": 1, "volume_id": "v",
            "metadata": metadata});
        replay.instead(
            "GET",
            &on_volumes("/snapshots/s"),
            Answer::new(200, json!({"snapshot": body})),
        );
    };
    let flavors = Answer::recorded("01-image-backed", 10);
    replay.on("GET", "/compute/v2.1/flavors", flavors);
    let there = Answer::new(200, json!({}));
    replay.on("GET", "/network/v2.0/networks/n1", there.clone());
    replay.on("GET", "/compute/v2.1/os-keypairs/mine", there);
    let gone = Answer::new(404, json!({"NeutronError": {"message": "no such thing"}}));
    replay.on("GET", "/network/v2.0/networks/n2", gone.clone());
    replay.on("GET", "/compute/v2.1/os-keypairs/lost", gone);
    let prod = provider(&replay);
    let blocked = async |metadata: Value| {
        snapshot(metadata);
        let outlook = prod.outlook(&reference("snapshot/s")).await.unwrap();
        outlook.launch_blocked_by
    };
    let all = json!({"stillpoint.flavor": "m1.nano", "stillpoint.networks": "n1",
        "stillpoint.key_pair": "mine"});
    assert_eq!(blocked(all).await, [""; 0]);
    let lost = json!({"stillpoint.flavor": "m1.gone", "stillpoint.networks": "n1 n2",
        "stillpoint.key_pair": "lost"});
    let lost = blocked(lost).await;
    let named = ["flavor `m1.gone`", "network `n2`", "key pair `lost`"];
    assert_eq!(lost.len(), named.len(), "{lost:?}");
    for (line, what) in lost.iter().zip(named) {
        assert!(line.contains(what) && line.contains("Launch"), "{line}");
    }
    // A network is told by its id alone.
    let named = json!({"stillpoint.flavor": "m1.nano", "stillpoint.networks": "../n1"});
    let named = blocked(named).await;
    assert!(named[0].contains("network `../n1`"), "{named:?}");
    let [line] = &blocked(json!({})).await[..] else {
        panic!()
    };
    assert!(line.contains("which flavor"), "{line}");
}

#[tokio::test]
async fn a_volume_that_would_go_with_its_instance_is_kept() {
    let replay = Replay::new().await;
    with_attached(
        &replay,
        json!([{"volumeId": "v", "device": "/dev/vda", "delete_on_termination": true}]),
    );
    let keep = on_server("/os-volume_attachments/v");
    replay.on("PUT", &keep, Answer::new(202, Value::Null));
    replay.on("DELETE", &on_server(""), Answer::new(204, Value::Null));
    let no = json!({"forbidden": {"code": 403, "message": "Policy doesn't allow it"}});
    replay.on("POST", &on_server("/action"), Answer::new(403, no));
    let delete = Operation::DeleteInstance {
        instance: instance(),
    };
    submit(&provider(&replay), &delete).await.unwrap();
    let kept = &replay.asked("PUT", &keep)[0].body["volumeAttachment"];
    assert_eq!(kept["delete_on_termination"], false);

    // An older Nova can't keep it: nothing is deleted.
    for old in ["2.79", "2.60"] {
        let spoken = json!({"versions": [{"id": "v2.1", "version": old}]});
        replay.instead("GET", "/compute/v2.1/", Answer::new(200, spoken));
        if old == "2.60" {
            // There only the server tells.
            let attached = json!([{"volumeId": "v", "device": "/dev/vda"}]);
            with_attached(&replay, attached);
        }
        for told in [Some(true), None] {
            let mut server = Answer::recorded("01-image-backed", 12);
            let told = told.map(|told| json!([{"id": "v", "delete_on_termination": told}]));
            server.body["server"]["os-extended-volumes:volumes_attached"] =
                told.unwrap_or(json!([]));
            replay.instead("GET", &on_server(""), server);
            let error = submit(&provider(&replay), &delete).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition);
            assert_eq!(replay.asked("DELETE", &on_server("")).len(), 1);
        }
    }
    let mut server = Answer::recorded("01-image-backed", 12);
    server.body["server"]["os-extended-volumes:volumes_attached"] =
        json!([{"id": "v", "delete_on_termination": false}]);
    replay.instead("GET", &on_server(""), server);
    submit(&provider(&replay), &delete).await.unwrap();
    assert_eq!(replay.asked("DELETE", &on_server("")).len(), 2);
}

#[tokio::test]
async fn an_instance_is_deleted_for_good_or_told_to_be_kept() {
    let replay = Replay::new().await;
    with_attached(&replay, json!([]));
    let action = on_server("/action");
    replay.on("POST", &action, Answer::new(202, Value::Null));
    let delete = Operation::DeleteInstance {
        instance: instance(),
    };
    let prod = provider(&replay);
    submit(&prod, &delete).await.unwrap();
    let forced = json!({"forceDelete": null});
    assert_eq!(replay.asked("POST", &action)[0].body, forced);
    assert!(replay.asked("DELETE", &on_server("")).is_empty());

    // As where the project may not do that.
    let ticket = Ticket::new("");
    with_server(&replay, "ACTIVE", Some("soft-deleting"), Value::Null);
    let seen = prod.observe(&key(), &delete, Some(&ticket)).await.unwrap();
    assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    with_server(&replay, "SOFT_DELETED", None, Value::Null);
    let seen = prod.observe(&key(), &delete, Some(&ticket)).await.unwrap();
    let Observation::Failed { error, .. } = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (error.retry(), error.world()),
        (Retry::Never, World::Changed)
    );
    assert!(error.advice().unwrap().contains("os-deferred-delete"));
    // It is not waited for by who makes it, either.
    let mut kept = Answer::recorded("01-image-backed", 12).body["server"].take();
    kept["status"] = "SOFT_DELETED".into();
    kept["metadata"]["stillpoint.key"] = key().as_str().into();
    let all = Answer::new(200, json!({"servers": [kept]}));
    replay.on("GET", "/compute/v2.1/servers/detail", all);
    let create = Operation::CreateInstance {
        name: "web1".into(),
        labels: Labels::new(),
        disks: Vec::new(),
    };
    let seen = observe(&prod, &create).await;
    assert!(matches!(seen, Observation::Failed { .. }), "{seen:?}");
    // Nobody knows who did it: it is asked for again.
    let seen = observe(&prod, &delete).await;
    assert!(matches!(seen, Observation::Absent), "{seen:?}");
}
