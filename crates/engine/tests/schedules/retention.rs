use stillpoint_core::{ErrorKind, Snapshot};
use stillpoint_engine::{Request, Restore, Take};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault, Personality};
use stillpoint_schedule::retention::{Keep, Reason};

use crate::bed::{Bed, at, cron, nightly, of_web_1, web};

#[tokio::test(start_paused = true)]
async fn what_no_rule_keeps_goes_after_the_new_one_is_there_and_never_before() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().daily(2));
    bed.apply(&spec).await;
    bed.until(at("05T12:00")).await;
    assert_eq!(
        bed.names().await,
        [
            "nightly-web-1-20260304-020000",
            "nightly-web-1-20260305-020000"
        ]
    );
    let jobs = bed.engine.jobs(&Default::default()).await.unwrap();
    let mut there = 0_i32;
    for job in &jobs {
        match &job.request {
            Request::Take(_) => there += 1,
            Request::Delete { .. } => {
                let earlier = jobs.iter().filter(|it| it.started_at <= job.started_at);
                let takes = earlier.filter(|it| matches!(it.request, Request::Take(_)));
                assert!(
                    takes
                        .clone()
                        .all(|take| take.ended_at <= Some(job.started_at))
                );
                there -= 1;
            }
            _ => {}
        }
        assert!(
            there <= 3,
            "one more than is kept, and that only while it is pruned"
        );
    }
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let deleted: Vec<_> = runs
        .iter()
        .map(|run| run.pruned.as_ref().map_or(0, |it| it.deleted.len()))
        .collect();
    assert_eq!(deleted, [0, 0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_new_can_be_taken_nothing_old_goes() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 * * * *"));
    // By age alone everything would be gone after three hours.
    spec.keep = Some(Keep::new().within(jiff::Span::new().hours(3)));
    bed.apply(&spec).await;
    bed.until(at("01T15:30")).await;
    let good = bed.names().await;
    assert_eq!(good.len(), 3);
    let always = At::submit(OperationKind::Snapshot).times(1000);
    bed.cloud.fault(always, Fault::QuotaShort);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.names().await, good);
}

#[tokio::test(start_paused = true)]
async fn the_last_verified_one_stays_though_newer_ones_are_only_taken() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(1));
    bed.apply(&spec).await;
    bed.until(at("03T12:00")).await;
    let verified = "nightly-web-1-20260303-020000";
    assert_eq!(bed.names().await, [verified]);
    spec.manner.verify = false;
    bed.apply(&spec).await;
    bed.until(at("08T12:00")).await;
    let names = bed.names().await;
    assert_eq!(names[0], verified);
    assert_eq!(
        names.len(),
        6,
        "what is not proven supersedes nothing: {names:?}"
    );
    spec.manner.verify = true;
    bed.apply(&spec).await;
    bed.until(at("09T12:00")).await;
    assert_eq!(bed.names().await, ["nightly-web-1-20260309-020000"]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_verified_nothing_is_deleted() {
    let bed = Bed::on(Personality::Process);
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(1));
    bed.apply(&spec).await;
    bed.until(at("05T12:00")).await;
    let nights = ["02", "03", "04", "05"].map(|day| format!("nightly-web-1-202603{day}-020000"));
    assert_eq!(bed.names().await, nights);
    let snapshots = bed.snapshots().await;
    assert!(snapshots.iter().all(|it| it.verified.is_none()));
    // It is planned, and every one is kept for the same reason.
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    let unproven = [Reason::Unproven { newer: 0 }];
    for snapshot in &snapshots {
        assert_eq!(plan.decision(snapshot.id).unwrap().reasons, unproven);
    }
    assert_eq!(
        bed.runs().await,
        [
            "02T02:00 done 1",
            "03T02:00 done 1",
            "04T02:00 done 1",
            "05T02:00 done 1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_the_same_schedule_took_goes() {
    let bed = Bed::new();
    let by_hand = Request::Take(Take {
        name: Some("by-hand".into()),
        ..Take::of(web(1))
    });
    let plan = bed.engine.plan(&by_hand).await.unwrap();
    let job = bed.engine.start(&plan).await.unwrap();
    bed.engine.wait(job).await.unwrap();
    let mut other = of_web_1(cron("0 1 * * *"));
    other.name = "other".into();
    bed.apply(&other).await;
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(1));
    bed.apply(&spec).await;
    bed.until(at("03T12:00")).await;
    assert_eq!(
        bed.names().await,
        [
            "by-hand",
            "nightly-web-1-20260303-020000",
            "other-web-1-20260302-010000",
            "other-web-1-20260303-010000"
        ]
    );
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    let reasons = |name: &str| {
        let mut subjects = plan.subjects.iter();
        let (id, _) = subjects.find(|(_, it)| it.name == name).unwrap();
        plan.decision(*id).unwrap().reasons.clone()
    };
    assert_eq!(reasons("by-hand"), [Reason::ByHand]);
    assert_eq!(
        reasons("other-web-1-20260302-010000"),
        [Reason::ForeignPolicy {
            policy: "other".into()
        }]
    );
    assert!(
        plan.to_string().contains("`by-hand`: taken by hand"),
        "{plan}"
    );
}

/// Four nights of `web-1`, of which nothing was pruned yet.
async fn four_nights() -> (Bed, Vec<Snapshot>) {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    bed.apply(&spec).await;
    bed.until(at("05T12:00")).await;
    spec.keep = Some(Keep::new().last(1));
    bed.apply(&spec).await;
    let snapshots = bed.snapshots().await;
    assert_eq!(snapshots.len(), 4);
    (bed, snapshots)
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_what_is_deleted() {
    let (bed, snapshots) = four_nights().await;
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    let shown: Vec<_> = snapshots[..3].iter().map(|it| it.id).collect();
    assert_eq!(plan.deletions(), shown);
    let json = serde_json::to_string(&plan).unwrap();
    let stored = serde_json::from_str(&json).unwrap();
    assert_eq!(bed.snapshots().await.len(), 4, "a plan changes nothing");
    let pruned = bed.engine.prune(&stored).await.unwrap();
    assert_eq!(pruned.deleted, shown.into_iter().collect());
    assert!(pruned.is_good());
    assert_eq!(bed.snapshots().await.len(), 1);
    let again = bed.engine.prune(&stored).await.unwrap();
    assert!(again.deleted.is_empty() && again.is_good(), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pin_and_a_safety_snapshot_win() {
    let (bed, snapshots) = four_nights().await;
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    bed.engine
        .by("anna")
        .pin(snapshots[1].id, "audit")
        .await
        .unwrap();
    let stale = bed.engine.prune(&plan).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    assert_eq!(
        bed.snapshots().await.len(),
        4,
        "a plan out of date deletes nothing"
    );

    let restore = Request::Restore(Restore::in_place(snapshots[0].id));
    let restore = bed.engine.plan(&restore).await.unwrap();
    let restore = bed.engine.start(&restore).await.unwrap();
    bed.engine
        .wait(restore)
        .await
        .unwrap()
        .into_result()
        .unwrap();
    let safety = bed.snapshots().await.into_iter().last().unwrap();
    bed.until(at("08T12:00")).await;
    let left = bed.snapshots().await;
    assert!(left.iter().any(|it| it.id == snapshots[1].id), "pinned");
    assert!(left.iter().any(|it| it.id == safety.id), "the way back");
    assert_eq!(left.len(), 3, "{:?}", bed.names().await);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_outlives_the_one_that_replaces_it_if_that_goes_meanwhile() {
    let (bed, snapshots) = four_nights().await;
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    // The newest, which the plan counts on, is deleted by hand.
    let delete = Request::Delete {
        snapshot: snapshots[3].id,
    };
    let delete = bed.engine.plan(&delete).await.unwrap();
    let job = bed.engine.start(&delete).await.unwrap();
    bed.engine.wait(job).await.unwrap().into_result().unwrap();
    let stale = bed.engine.prune(&plan).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    assert_eq!(bed.snapshots().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_job_counts_on_has_to_be_there_when_it_begins() {
    let (bed, snapshots) = four_nights().await;
    let request = Request::Delete {
        snapshot: snapshots[0].id,
    };
    let mut plan = bed.engine.plan(&request).await.unwrap();
    plan.claims
        .push(stillpoint_engine::Claim::Keep(snapshots[3].id));
    let delete = Request::Delete {
        snapshot: snapshots[3].id,
    };
    let delete = bed.engine.plan(&delete).await.unwrap();
    let job = bed.engine.start(&delete).await.unwrap();
    bed.engine.wait(job).await.unwrap().into_result().unwrap();
    let refused = bed.engine.start(&plan).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(bed.snapshots().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_deleted_keeps_no_other() {
    let (bed, _) = four_nights().await;
    let at_the_first = At::submit(OperationKind::DeleteSnapshot).times(5);
    bed.cloud.fault(at_the_first, Fault::QuotaShort);
    let plan = bed.engine.plan_prune("nightly").await.unwrap();
    let pruned = bed.engine.prune(&plan).await.unwrap();
    assert_eq!(pruned.deleted.len() + pruned.failed.len(), 3);
    assert!(!pruned.is_good());
    bed.cloud.clear_faults();
    bed.until(at("06T12:00")).await;
    assert_eq!(bed.names().await, ["nightly-web-1-20260306-020000"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_there_is_nothing_to_prune() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    let refused = bed.engine.plan_prune("nightly").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    let unknown = bed.engine.plan_prune("weekly").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}
