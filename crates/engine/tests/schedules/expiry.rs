use stillpoint_core::Snapshot;
use stillpoint_engine::{Request, Take};

use crate::bed::{Bed, at, web};

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
