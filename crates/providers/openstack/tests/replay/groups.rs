//! Volumes that are a group of Cinder's, taken and deleted together.

use serde_json::{Value, json};
use stillpoint_core::{Capture, Consistency, ErrorKind, Memory, World};
use stillpoint_iaas::{DiskOf, Observation, Operation, Output, Provider, TakeSnapshot};

use crate::bed::{key, observe, on_volumes, provider, reference, submit};
use crate::server::{Answer, Replay};
use crate::servers::{SERVER, instance, on_server, with_attached, with_server};

const FILE: &str = "07-groups";

/// The recorded volumes of the group, as attached; and the group's id.
fn volumes() -> (Vec<Value>, String) {
    let mut volumes = Vec::new();
    for number in [11, 12] {
        let mut volume = Answer::recorded(FILE, number).body["volume"].take();
        volume["status"] = "in-use".into();
        volume["attachments"] = json!([{"server_id": SERVER}]);
        volumes.push(volume);
    }
    let group = volumes[0]["group_id"].as_str().unwrap().to_owned();
    (volumes, group)
}

async fn cloud(seen: &str) -> Replay {
    let replay = Replay::new().await;
    let (volumes, group) = volumes();
    with_server(&replay, "ACTIVE", None, "".into());
    let attached = volumes.iter().zip(["/dev/vda", "/dev/vdb"]);
    let attached: Vec<_> = attached
        .map(|(it, device)| json!({"volumeId": it["id"], "device": device}))
        .collect();
    with_attached(&replay, attached.into());
    for volume in &volumes {
        let path = on_volumes(&format!("/volumes/{}", volume["id"].as_str().unwrap()));
        replay.on("GET", &path, Answer::new(200, json!({"volume": volume})));
    }
    let there = Answer::noted(FILE, "with its volumes");
    let kind = there.body["group"]["group_type"].as_str().unwrap();
    let kind = on_volumes(&format!("/group_types/{kind}"));
    replay.on("GET", &on_volumes(&format!("/groups/{group}")), there);
    replay.on("GET", &kind, Answer::noted(FILE, seen));
    let limits = Answer::recorded("05-live-snapshots-quota-paging-tokens", 35);
    replay.on("GET", &on_volumes("/limits"), limits);
    let none = json!({"images": []});
    replay.on("GET", "/image/v2/images", Answer::new(200, none));
    replay
}

fn take() -> Operation {
    let (volumes, _) = volumes();
    let part = |volume: &Value| DiskOf {
        disk: volume["name"].as_str().unwrap().to_owned(),
        volume: reference(&format!("volume/{}", volume["id"].as_str().unwrap())),
    };
    Operation::Snapshot(TakeSnapshot {
        source: instance(),
        parts: volumes.iter().map(part).collect(),
        name: "before".into(),
        labels: Default::default(),
        group: true,
        quiesce: None,
        memory: Memory::No,
        copy: stillpoint_core::CopyKind::Shallow,
    })
}

fn members() -> Vec<String> {
    let listed = Answer::noted(FILE, "its members at once").body;
    let listed = listed["snapshots"].as_array().unwrap().iter();
    listed
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_consistent_group_is_taken_at_one_instant() {
    let replay = cloud("as an administrator sees it").await;
    let prod = provider(&replay);
    let can = prod.outlook(&instance()).await.unwrap().can.unwrap();
    assert!(can.atomic_group && can.composite, "{can:?}");
    assert_eq!(can.live, Some(Consistency::Crash));

    let posted = Answer::noted(FILE, "a group snapshot");
    replay.on("POST", &on_volumes("/group_snapshots"), posted);
    let all = on_volumes("/snapshots/detail");
    replay.on("GET", &all, Answer::noted(FILE, "its members at once"));
    for id in members() {
        let of = on_volumes(&format!("/snapshots/{id}"));
        let marked = Answer::noted(FILE, "marked while it is taken");
        replay.on("POST", &format!("{of}/metadata"), marked);
        replay.on("PUT", &of, Answer::noted(FILE, "renamed"));
    }
    // Cut off before the marks, it is found by its name.
    let Observation::Failed { left, .. } = observe(&prod, &take()).await else {
        panic!("it failed");
    };
    assert_eq!(left.len(), 2);

    submit(&prod, &take()).await.unwrap();
    let asked = &replay.asked("POST", &on_volumes("/group_snapshots"))[0].body["group_snapshot"];
    assert_eq!(asked["name"], "before job-1.take");
    for id in members() {
        let path = on_volumes(&format!("/snapshots/{id}/metadata"));
        let marks = &replay.asked("POST", &path)[0].body["metadata"];
        assert_eq!(marks["stillpoint.key"], key().as_str());
        assert_eq!(marks["stillpoint.capture"], "live");
        assert_eq!(marks["stillpoint.instance"], SERVER);
    }
    replay.instead("GET", &all, Answer::noted(FILE, "its members then"));
    let Observation::Done {
        output: Output::Snapshot(taken),
        twins,
    } = observe(&prod, &take()).await
    else {
        panic!("it is done");
    };
    assert!(twins.is_empty() && taken.parts.len() == 2);
    assert_eq!(
        (taken.consistency, taken.capture),
        (Consistency::Crash, Capture::Live)
    );
}

#[tokio::test]
async fn a_group_snapshot_whose_members_are_not_seen_may_be_there() {
    let replay = cloud("as an administrator sees it").await;
    let posted = Answer::noted(FILE, "a group snapshot");
    replay.on("POST", &on_volumes("/group_snapshots"), posted);
    let fault = Answer::new(503, Value::Null);
    replay.on("GET", &on_volumes("/snapshots/detail"), fault);
    let error = submit(&provider(&replay), &take()).await.unwrap_err();
    assert_eq!(error.world(), World::Unknown);
}

#[tokio::test]
async fn a_group_that_nobody_calls_consistent_is_taken_one_by_one() {
    for seen in ["a generic group type", "as a member sees the group type"] {
        let replay = cloud(seen).await;
        let prod = provider(&replay);
        assert_eq!(prod.outlook(&instance()).await.unwrap().can, None, "{seen}");
        let error = submit(&prod, &take()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let posted = replay.asked("POST", &on_server("/action"));
        assert!(posted.is_empty());
    }
}

#[tokio::test]
async fn what_was_taken_together_goes_together_with_the_last() {
    let replay = cloud("as an administrator sees it").await;
    let prod = provider(&replay);
    let mut listed = Answer::noted(FILE, "its members then").body;
    let of = listed["snapshots"][0]["group_snapshot_id"].clone();
    let of = on_volumes(&format!("/group_snapshots/{}", of.as_str().unwrap()));
    let together = Answer::noted(FILE, "all of them together can");
    replay.on("DELETE", &of, together);
    let none = Answer::new(200, json!({"volumes": []}));
    replay.on("GET", &on_volumes("/volumes/detail"), none);
    let all = on_volumes("/snapshots/detail");
    for number in 0..2 {
        let mut one = listed["snapshots"][number].clone();
        let id = one["id"].as_str().unwrap().to_owned();
        let path = on_volumes(&format!("/snapshots/{id}"));
        replay.on("GET", &path, Answer::new(200, json!({"snapshot": one})));
        let kept = Answer::new(200, json!({"metadata": {}}));
        replay.on("POST", &format!("{path}/metadata"), kept);
        // As it is listed once it is marked.
        listed["snapshots"][number]["metadata"]["stillpoint.gone"] = key().as_str().into();
        replay.instead("GET", &all, Answer::new(200, listed.clone()));
        let delete = Operation::DeleteSnapshot {
            snapshot: reference(&format!("snapshot/{id}")),
        };
        submit(&prod, &delete).await.unwrap();
        assert_eq!(replay.asked("DELETE", &of).len(), number, "with the last");
        assert!(replay.asked("DELETE", &path).is_empty());
        one["metadata"]["stillpoint.gone"] = key().as_str().into();
        replay.instead("GET", &path, Answer::new(200, json!({"snapshot": one})));
        let gone = prod.describe(&reference(&format!("snapshot/{id}"))).await;
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
        if number == 0 {
            let seen = observe(&prod, &delete).await;
            assert!(matches!(seen, Observation::Done { .. }), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn two_that_are_the_last_are_both_deleted() {
    let refused = "Invalid GroupSnapshot: GroupSnapshot status must be available or error, and no \
                   Group can be currently using it as source for its creation.";
    for (then, goes) in [("deleting", true), ("gone", true), ("available", false)] {
        let replay = cloud("as an administrator sees it").await;
        let mut listed = Answer::noted(FILE, "its members then");
        for one in listed.body["snapshots"].as_array_mut().unwrap() {
            one["metadata"]["stillpoint.gone"] = key().as_str().into();
        }
        let one = listed.body["snapshots"][0].clone();
        let of = one["group_snapshot_id"].as_str().unwrap();
        let refused = json!({"badRequest": {"code": 400, "message": refused}});
        let group = on_volumes(&format!("/group_snapshots/{of}"));
        replay.on("DELETE", &group, Answer::new(400, refused));
        let all = on_volumes("/snapshots/detail");
        replay.on("GET", &all, listed.clone());
        for one in listed.body["snapshots"].as_array_mut().unwrap() {
            one["status"] = then.into();
        }
        if then == "gone" {
            listed.body["snapshots"] = json!([]);
        }
        replay.on("GET", &all, listed);
        let none = Answer::new(200, json!({"volumes": []}));
        replay.on("GET", &on_volumes("/volumes/detail"), none);
        let id = one["id"].as_str().unwrap();
        let path = on_volumes(&format!("/snapshots/{id}"));
        replay.on("GET", &path, Answer::new(200, json!({"snapshot": one})));
        let kept = Answer::new(200, json!({"metadata": {}}));
        replay.on("POST", &format!("{path}/metadata"), kept);
        let delete = Operation::DeleteSnapshot {
            snapshot: reference(&format!("snapshot/{id}")),
        };
        let deleted = submit(&provider(&replay), &delete).await;
        assert_eq!(deleted.is_ok(), goes, "{then}: {deleted:?}");
    }
}
