use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stillpoint_core::{Capture, Consistency, ErrorKind, ResourceKind, Retry, World};
use stillpoint_iaas::{
    Filter, Observation, Operation, OperationKey, Output, Provider, ProviderExt, Ticket,
};
use stillpoint_openstack::OpenStack;

use crate::bed::{
    config, key, observe, on_volumes, provider, reference, submit, take, volume, with_volume,
};
use crate::server::{Answer, Replay};

const LIVE: &str = "05-live-snapshots-quota-paging-tokens";
const CINDER: &str = "03-cinder-volumes-snapshots";
const ID: &str = "c0211b5e-7870-473b-b012-62f5f9bfd78b";

fn snapshot(id: &str, status: &str, key: &str) -> Value {
    json!({"id": id, "status": status, "size": 1, "volume_id": ID, "name": "before",
        "created_at": "2026-11-21T00:03:14.000000",
        "metadata": {"stillpoint.key": key, "stillpoint.capture": "live", "purpose": "test"},
        "os-extended-snapshot-attributes:progress": "90%"})
}

fn with_snapshots(replay: &Replay, snapshots: &[Value]) {
    let body = json!({"snapshots": snapshots});
    replay.instead(
        "GET",
        &on_volumes("/snapshots/detail"),
        Answer::new(200, body),
    );
}

#[tokio::test]
async fn a_snapshot_of_a_volume_in_use_is_not_forced_and_carries_its_key() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "in-use", &["s"]);
    replay.on("POST", &on_volumes("/snapshots"), Answer::recorded(LIVE, 1));
    let ticket = submit(&provider(&replay), &take(ID)).await.unwrap();
    assert_eq!(ticket, "c77df436-e1e4-4f12-b1ec-76089e7f47bb");
    let body = &replay.asked("POST", &on_volumes("/snapshots"))[0].body["snapshot"];
    assert!(body.get("force").is_none(), "{body}");
    assert_eq!(body["metadata"]["stillpoint.key"], key().as_str());
    assert_eq!(body["metadata"]["purpose"], "test");
    // Its server can't be seen, so it may write.
    assert_eq!(body["metadata"]["stillpoint.capture"], "live");
}

#[tokio::test]
async fn a_key_alone_tells_what_became_of_a_snapshot() {
    let replay = Replay::new().await;
    let prod = provider(&replay);
    let ours = key();
    let ours = ours.as_str();
    with_snapshots(&replay, &[snapshot("x", "available", "another")]);
    assert!(matches!(
        observe(&prod, &take(ID)).await,
        Observation::Absent
    ));

    with_snapshots(&replay, &[snapshot("a", "creating", ours)]);
    let Observation::Running {
        progress: Some(progress),
        ..
    } = observe(&prod, &take(ID)).await
    else {
        panic!("it runs");
    };
    assert!(
        progress.fraction() > 0.89 && progress.fraction() < 0.91,
        "{progress}"
    );

    with_snapshots(&replay, &[snapshot("a", "error", ours)]);
    let Observation::Failed { error, left } = observe(&prod, &take(ID)).await else {
        panic!("it failed");
    };
    assert_eq!(left, [reference("snapshot/a")]);
    assert_eq!(error.world(), World::Changed);

    with_snapshots(
        &replay,
        &[
            snapshot("a", "available", ours),
            snapshot("b", "available", ours),
        ],
    );
    let Observation::Done {
        output: Output::Snapshot(taken),
        twins,
    } = observe(&prod, &take(ID)).await
    else {
        panic!("it is done");
    };
    assert_eq!(taken.parts[0].snapshot, reference("snapshot/a"));
    assert_eq!(twins, [reference("snapshot/b")]);
    assert_eq!(
        (taken.consistency, taken.capture),
        (Consistency::Crash, Capture::Live)
    );
    assert_eq!(taken.taken_at.to_string(), "2026-11-21T00:03:14Z");
}

#[tokio::test]
async fn refusals_are_known_by_what_they_say() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "in-use", &[]);
    let post = on_volumes("/snapshots");
    for (answer, kind, again) in [
        (Answer::recorded(LIVE, 3), ErrorKind::Precondition, false),
        (Answer::recorded(LIVE, 33), ErrorKind::Quota, false),
        (Answer::recorded(LIVE, 12), ErrorKind::Invalid, false),
        (Answer::recorded(CINDER, 30), ErrorKind::NotFound, false),
        (
            Answer::recorded("02-image-backed-snapshot", 3),
            ErrorKind::Busy,
            true,
        ),
    ] {
        replay.instead("POST", &post, answer.clone());
        let error = submit(&provider(&replay), &take(ID)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.world()),
            (kind, World::Untouched),
            "{error}"
        );
        assert_eq!(error.retry() != Retry::Never, again, "{error}");
        assert!(
            error.advice().is_some() && error.resource().is_some(),
            "{error}"
        );
    }
    // A gateway that gives up does not say what became of it.
    replay.instead("POST", &post, Answer::new(504, Value::Null));
    let error = submit(&provider(&replay), &take(ID)).await.unwrap_err();
    assert_eq!(error.world(), World::Unknown);
}

#[tokio::test]
async fn a_full_quota_is_told_before_anything_is_asked() {
    let replay = Replay::new().await;
    let mut full = Answer::recorded(LIVE, 35);
    full.body["limits"]["absolute"]["maxTotalSnapshots"] = 4.into();
    replay.on("GET", &on_volumes("/limits"), full);
    with_volume(&replay, ID, "available", &[]);
    let error = submit(&provider(&replay), &take(ID)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    assert!(replay.asked("POST", &on_volumes("/snapshots")).is_empty());
}

#[tokio::test]
async fn a_snapshot_is_kept_while_a_volume_is_made_from_it() {
    let replay = Replay::new().await;
    let path = on_volumes("/snapshots/a");
    replay.on(
        "GET",
        &path,
        Answer::new(200, json!({"snapshot": snapshot("a", "available", "k")})),
    );
    let mut making = volume("v", "creating", &[]);
    making["snapshot_id"] = "a".into();
    replay.on(
        "GET",
        &on_volumes("/volumes/detail"),
        Answer::new(200, json!({"volumes": [making]})),
    );
    let delete = Operation::DeleteSnapshot {
        snapshot: reference("snapshot/a"),
    };
    let error = submit(&provider(&replay), &delete).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(replay.asked("DELETE", &path).is_empty());

    let free = json!({"volumes": [volume("v", "available", &[])]});
    replay.instead(
        "GET",
        &on_volumes("/volumes/detail"),
        Answer::new(200, free),
    );
    replay.on("DELETE", &path, Answer::recorded(LIVE, 7));
    submit(&provider(&replay), &delete).await.unwrap();
    assert_eq!(replay.asked("DELETE", &path).len(), 1);
}

#[tokio::test]
async fn a_delete_that_cinder_gave_up_has_failed() {
    let replay = Replay::new().await;
    let delete = Operation::DeleteSnapshot {
        snapshot: reference("snapshot/a"),
    };
    let path = on_volumes("/snapshots/a");
    let (prod, key, ticket) = (provider(&replay), key(), Ticket::new("a"));
    let volumes = on_volumes("/volumes/detail");
    let none = json!({"volumes": []});
    replay.on("GET", &volumes, Answer::new(200, none));
    for (status, expected) in [
        ("deleting", "running"),
        ("available", "failed"),
        ("", "done"),
    ] {
        replay.instead(
            "GET",
            &path,
            match status {
                "" => Answer::recorded(CINDER, 26),
                status => Answer::new(200, json!({"snapshot": snapshot("a", status, "k")})),
            },
        );
        let seen = prod.observe(&key, &delete, Some(&ticket)).await.unwrap();
        let seen = match seen {
            Observation::Running { .. } => "running",
            Observation::Failed { error, .. } => {
                assert_eq!(error.world(), World::Untouched);
                assert_ne!(error.retry(), Retry::Never);
                "failed"
            }
            Observation::Done { .. } => "done",
            other => panic!("{other:?}"),
        };
        assert_eq!(seen, expected);
    }
    // As a store that clones does it, while there are clones.
    let mut clone = volume("clone", "available", &[]);
    clone["snapshot_id"] = "a".into();
    let kept = json!({"snapshot": snapshot("a", "available", "k")});
    replay.instead("GET", &path, Answer::new(200, kept));
    let listed = json!({"volumes": [clone]});
    replay.instead("GET", &volumes, Answer::new(200, listed));
    let seen = prod.observe(&key, &delete, Some(&ticket)).await.unwrap();
    let Observation::Failed { error, .. } = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(
        (error.retry(), error.world()),
        (Retry::Never, World::Untouched)
    );
    assert!(error.message().contains("volume clone"), "{error}");
}

#[tokio::test]
async fn only_the_latest_snapshot_is_reverted_to() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "available", &[]);
    with_snapshots(
        &replay,
        &[
            snapshot("old", "available", "1"),
            snapshot("new", "available", "2"),
        ],
    );
    let action = on_volumes(&format!("/volumes/{ID}/action"));
    replay.on("POST", &action, Answer::recorded(CINDER, 22));
    let revert = |to: &str| Operation::Revert {
        volume: reference(&format!("volume/{ID}")),
        to: reference(&format!("snapshot/{to}")),
    };
    let prod = provider(&replay);
    let error = submit(&prod, &revert("old")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert!(error.message().contains("that is new"), "{error}");
    let error = submit(&prod, &revert("other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(replay.asked("POST", &action).is_empty());
    submit(&prod, &revert("new")).await.unwrap();
    let mark = &replay.asked("POST", &on_volumes(&format!("/volumes/{ID}/metadata")))[0].body;
    assert_eq!(mark["metadata"]["stillpoint.reverted"], key().as_str());
}

#[tokio::test]
async fn what_cinder_would_leave_reverting_is_not_asked_for() {
    let replay = Replay::new().await;
    let action = on_volumes(&format!("/volumes/{ID}/action"));
    replay.on("POST", &action, Answer::recorded(CINDER, 22));
    let revert = Operation::Revert {
        volume: reference(&format!("volume/{ID}")),
        to: reference("snapshot/new"),
    };
    let prod = provider(&replay);
    for (of_volume, of_snapshot, kind) in [
        ("available", "creating", ErrorKind::Busy),
        ("available", "restoring", ErrorKind::Busy),
        ("available", "error", ErrorKind::Precondition),
        ("backing-up", "available", ErrorKind::Busy),
        ("error", "available", ErrorKind::Precondition),
    ] {
        let seen = json!({"volume": volume(ID, of_volume, &[])});
        let path = on_volumes(&format!("/volumes/{ID}"));
        replay.instead("GET", &path, Answer::new(200, seen));
        with_snapshots(&replay, &[snapshot("new", of_snapshot, "1")]);
        let error = submit(&prod, &revert).await.unwrap_err();
        let (got, world) = (error.kind(), error.world());
        assert_eq!((got, world), (kind, World::Untouched), "{error}");
        assert!(replay.asked("POST", &action).is_empty());
    }
}

#[tokio::test]
async fn pages_are_read_to_the_end_and_again_when_a_marker_is_gone() {
    let replay = Replay::new().await;
    let path = on_volumes("/volumes/detail");
    let page = |ids: &[&str], more: bool| {
        let volumes: Vec<_> = ids.iter().map(|id| volume(id, "available", &[])).collect();
        let links = if more {
            json!([{"rel": "next", "href": "elsewhere"}])
        } else {
            json!([])
        };
        Answer::new(200, json!({"volumes": volumes, "volumes_links": links}))
    };
    replay.on("GET", &path, page(&["a", "b"], true));
    replay.on("GET", &path, Answer::recorded(LIVE, 15));
    replay.on("GET", &path, page(&["a", "c"], true));
    replay.on("GET", &path, page(&["d"], false));
    let listed = provider(&replay)
        .list_all(&Filter::kind(ResourceKind::Volume))
        .await
        .unwrap();
    let ids: Vec<_> = listed.iter().map(|it| it.reference.id()).collect();
    assert_eq!(ids, ["a", "c", "d"]);
    let asked = replay.asked("GET", &path);
    let markers: Vec<_> = asked
        .iter()
        .map(|it| it.query.contains("marker="))
        .collect();
    assert_eq!(markers, [false, true, false, true]);
}

#[tokio::test]
async fn a_page_that_repeats_itself_ends_the_list() {
    let replay = Replay::new().await;
    let body =
        json!({"volumes": [volume("a", "available", &[])], "volumes_links": [{"rel": "next"}]});
    replay.on(
        "GET",
        &on_volumes("/volumes/detail"),
        Answer::new(200, body),
    );
    let listed = provider(&replay)
        .list_all(&Filter::kind(ResourceKind::Volume))
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_filter_that_the_cloud_forbids_is_done_without() {
    let replay = Replay::new().await;
    let path = on_volumes("/snapshots/detail");
    replay.on("GET", &path, Answer::recorded(LIVE, 16));
    let ours = key();
    let all = json!({"snapshots": [snapshot("a", "available", ours.as_str()), snapshot("b", "available", "x")]});
    replay.on("GET", &path, Answer::new(200, all));
    let seen = observe(&provider(&replay), &take(ID)).await;
    let Observation::Done { output, twins } = seen else {
        panic!("{seen:?}")
    };
    assert_eq!(output.created(), [reference("snapshot/a")]);
    assert!(twins.is_empty());
}

#[tokio::test]
async fn forty_volumes_at_once_make_no_more_calls_than_allowed() {
    let replay = Arc::new(Replay::new().await);
    with_volume(&replay, ID, "available", &[]);
    let mut slow = Answer::recorded(LIVE, 1);
    slow.after = Duration::from_millis(20);
    replay.on("POST", &on_volumes("/snapshots"), slow);
    let prod = OpenStack::builder("prod", config(&replay.url))
        .at_once(8)
        .build()
        .unwrap();
    let takes = (0..40).map(|number| {
        let prod = &prod;
        async move {
            let key: OperationKey = format!("job-{number}").parse().unwrap();
            prod.submit(&key, &take(ID)).await.unwrap();
        }
    });
    futures_util::future::join_all(takes).await;
    let posts = replay.asked("POST", &on_volumes("/snapshots"));
    let keys: std::collections::BTreeSet<_> = posts
        .iter()
        .map(|it| it.body["snapshot"]["metadata"]["stillpoint.key"].to_string())
        .collect();
    assert_eq!(keys.len(), 40, "none is lost");
    // The login is a call beside them.
    assert!(
        (4..=8).contains(&replay.most_at_once()),
        "{} at once",
        replay.most_at_once()
    );
}
