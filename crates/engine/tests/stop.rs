//! Stopped after every durable write: refused with the reason, or all as before.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Bench, Fuse, Story};
use stillpoint_core::ErrorKind;
use stillpoint_iaas::sim::{NewInstance, Personality};
use stillpoint_restore::Outcome;

/// By when a stopped job must be over.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn stopped_at_every_write() {
    let mut stops = 0;
    for personality in Personality::ALL {
        for story in Story::ALL
            .into_iter()
            .filter(|story| story.works_on(personality))
        {
            let mut at = 1;
            while stop_at(personality, story, at).await {
                (at, stops) = (at + 1, stops + 1);
            }
        }
    }
    println!("{stops} stops");
    assert!(stops > 200, "{stops}");
}

/// Tells whether the job was long enough to be stopped there.
async fn stop_at(personality: Personality, story: Story, at: usize) -> bool {
    let what = format!("{personality:?}, {story:?}, stopped at write {at}");
    let mut bench = Bench::with(personality, NewInstance::off);
    let request = bench.set_up(story).await;
    let before = bench.cloud.inventory();
    let snapshots = bench.snapshots().await;
    // It tells when that write is done, and lets it go on.
    let fuse = Fuse::passing(Arc::clone(&bench.state), at);
    bench.drive_on(Arc::clone(&fuse) as Arc<_>);
    let plan = bench.engine.plan(&request).await.unwrap();
    let engine = bench.engine.clone();
    let id = engine.start(&plan).await.unwrap();
    let over = tokio::select! {
        biased;
        () = fuse.blown.notified() => false,
        _ = engine.wait(id) => true,
    };
    if over {
        return false;
    }
    match engine.stop(id).await {
        Ok(()) => {
            let job = tokio::time::timeout(PATIENCE, engine.wait(id))
                .await
                .expect(&what)
                .unwrap();
            assert!(
                matches!(job.outcome, Some(Outcome::Cancelled { .. })),
                "{what}: {:#?}",
                job.outcome
            );
            assert_eq!(bench.snapshots().await, snapshots, "{what}");
            bench.cloud.settle().await;
            let left = before.diff(&bench.cloud.inventory());
            assert!(left.is_empty(), "{what} left {left:#?}");
        }
        Err(refused) => {
            assert_eq!(refused.kind(), ErrorKind::Precondition, "{what}: {refused}");
            let job = bench.finish(id).await;
            assert!(
                job.is_good(),
                "{what}: {refused}, and then {:#?}",
                job.outcome
            );
        }
    }
    true
}
