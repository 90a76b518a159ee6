use stillpoint_core::Snapshot;
use stillpoint_engine::{Request, Restore, Take};
use stillpoint_schedule::retention::Keep;

use crate::bed::{Bed, at, cron, of_web_1, web};

async fn by_hand(bed: &Bed) -> Snapshot {
    let take = Request::Take(Take::of(web(1)));
    let plan = bed.engine.plan(&take).await.unwrap();
    let job = bed.engine.start(&plan).await.unwrap();
    let job = bed.engine.wait(job).await.unwrap();
    bed.engine.snapshot_of(&job).await.unwrap()
}

async fn ids(bed: &Bed) -> Vec<stillpoint_core::SnapshotId> {
    bed.snapshots().await.into_iter().map(|it| it.id).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_expired_goes_in_time_and_not_before_even_over_a_restart() {
    let mut bed = Bed::new();
    let (first, second) = (by_hand(&bed).await, by_hand(&bed).await);
    let anna = bed.engine.by("anna");
    anna.expire(first.id, Some(at("03T12:00"))).await.unwrap();
    bed.until(at("03T11:58")).await;
    assert_eq!(ids(&bed).await, [first.id, second.id]);
    bed.until(at("03T12:02")).await;
    assert_eq!(ids(&bed).await, [second.id]);

    // One more, over whose expiry we are down.
    let third = by_hand(&bed).await;
    let expiry = Some(at("04T12:00"));
    bed.engine
        .by("anna")
        .expire(second.id, expiry)
        .await
        .unwrap();
    bed.down();
    bed.until(at("06T12:00")).await;
    bed.up();
    bed.until(at("06T12:05")).await;
    assert_eq!(ids(&bed).await, [third.id]);
}

#[tokio::test(start_paused = true)]
async fn a_pin_wins_as_long_as_it_is_there() {
    let bed = Bed::new();
    let (first, second) = (by_hand(&bed).await, by_hand(&bed).await);
    let anna = bed.engine.by("anna");
    anna.pin(first.id, "audit").await.unwrap();
    anna.expire(first.id, Some(at("03T12:00"))).await.unwrap();
    bed.until(at("05T12:00")).await;
    assert_eq!(ids(&bed).await, [first.id, second.id]);
    assert_eq!(deletions(&bed).await, 0, "it is not even tried");
    anna.unpin(first.id, "audit").await.unwrap();
    bed.until(at("05T13:00")).await;
    assert_eq!(ids(&bed).await, [second.id]);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_one_outlives_its_expiry_until_there_is_a_newer_one() {
    let bed = Bed::new();
    let first = by_hand(&bed).await;
    let expiry = Some(at("02T12:00"));
    bed.engine
        .by("anna")
        .expire(first.id, expiry)
        .await
        .unwrap();
    bed.until(at("03T12:00")).await;
    assert_eq!(ids(&bed).await, [first.id]);
    let second = by_hand(&bed).await;
    bed.until(at("03T13:00")).await;
    assert_eq!(ids(&bed).await, [second.id]);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_can_be_put_off_and_taken_back() {
    let bed = Bed::new();
    let (first, second) = (by_hand(&bed).await, by_hand(&bed).await);
    let anna = bed.engine.by("anna");
    for (id, expiry) in [
        (first.id, Some(at("02T12:00"))),
        (first.id, Some(at("04T12:00"))),
        (second.id, Some(at("02T12:00"))),
        (second.id, None),
    ] {
        anna.expire(id, expiry).await.unwrap();
    }
    bed.until(at("03T12:00")).await;
    assert_eq!(ids(&bed).await, [first.id, second.id]);
    bed.until(at("04T12:05")).await;
    assert_eq!(ids(&bed).await, [second.id]);
}

/// Every deletion that was asked for.
async fn deletions(bed: &Bed) -> usize {
    let jobs = bed.engine.jobs(&Default::default()).await.unwrap();
    let deletes = |it: &&stillpoint_engine::Job| matches!(it.request, Request::Delete { .. });
    jobs.iter().filter(deletes).count()
}

#[tokio::test(start_paused = true)]
async fn the_last_verified_one_outlives_its_expiry_whatever_newer_one_is_only_taken() {
    let bed = Bed::new();
    let first = by_hand(&bed).await;
    let unverified = Take {
        verify: false,
        ..Take::of(web(1))
    };
    let plan = bed.engine.plan(&Request::Take(unverified)).await.unwrap();
    let job = bed.engine.start(&plan).await.unwrap();
    let second = bed.engine.wait(job).await.unwrap();
    let second = bed.engine.snapshot_of(&second).await.unwrap();
    assert!(first.verified.is_some() && second.verified.is_none());
    let anna = bed.engine.by("anna");
    for id in [first.id, second.id] {
        anna.expire(id, Some(at("02T12:00"))).await.unwrap();
    }
    bed.until(at("03T12:00")).await;
    // The other one proves nothing, and goes.
    assert_eq!(ids(&bed).await, [first.id]);
    assert_eq!(deletions(&bed).await, 1, "what stays is not even tried");
}

#[tokio::test(start_paused = true)]
async fn what_a_schedule_keeps_goes_with_its_next_run_and_not_by_itself() {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(3));
    bed.apply(&spec).await;
    bed.until(at("04T12:00")).await;
    let all = ids(&bed).await;
    let expiry = Some(at("04T13:00"));
    bed.engine.by("anna").expire(all[1], expiry).await.unwrap();
    bed.until(at("05T01:00")).await;
    assert_eq!(ids(&bed).await, all);
    assert_eq!(deletions(&bed).await, 0);
    bed.until(at("05T12:00")).await;
    let left = ids(&bed).await;
    assert_eq!(left[..2], [all[0], all[2]], "its run has looked at it");
    assert_eq!(left.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_restore_can_be_undone_with_outlives_its_expiry_until_it_is_accepted() {
    let bed = Bed::new();
    let (first, _) = (by_hand(&bed).await, by_hand(&bed).await);
    let run = async |request: Request| {
        let plan = bed.engine.plan(&request).await.unwrap();
        let job = bed.engine.start(&plan).await.unwrap();
        bed.engine.wait(job).await.unwrap().into_result().unwrap()
    };
    let restore = run(Request::Restore(Restore::in_place(first.id))).await;
    let safety = bed.engine.snapshot_of(&restore).await.unwrap().id;
    // Newer than it, so that it is not kept for being the last.
    let last = by_hand(&bed).await.id;
    let expiry = Some(at("02T12:00"));
    bed.engine.by("anna").expire(safety, expiry).await.unwrap();
    bed.until(at("03T12:00")).await;
    assert!(ids(&bed).await.contains(&safety));
    assert_eq!(deletions(&bed).await, 0, "it is not even tried");
    run(Request::Accept { job: restore.id }).await;
    assert_eq!(ids(&bed).await.last(), Some(&last));
    assert!(!ids(&bed).await.contains(&safety));
}
