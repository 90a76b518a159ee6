//! Killed before and after every durable write, on every sort of cloud: one outcome, no orphan.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{Bench, Fuse, Story};
use stillpoint_engine::{JobQuery, Request};
use stillpoint_iaas::sim::Personality;
use stillpoint_restore::Outcome;

#[tokio::test(start_paused = true)]
async fn killed_at_every_write() {
    let mut kills = 0;
    for personality in Personality::ALL {
        for story in Story::ALL
            .into_iter()
            .filter(|story| story.works_on(personality))
        {
            for after in [false, true] {
                let mut at = 1;
                while kill_at(personality, story, at, after).await {
                    (at, kills) = (at + 1, kills + 1);
                }
            }
        }
    }
    println!("{kills} kill points");
    assert!(kills > 500, "{kills}");
}

/// Tells whether the job was long enough to be killed there.
async fn kill_at(personality: Personality, story: Story, at: usize, after: bool) -> bool {
    let what = format!("{personality:?}, {story:?}, killed at write {at}, after: {after}");
    println!("{what}");
    let mut bench = Bench::new(personality);
    let request = bench.set_up(story).await;
    let earlier = bench.engine.jobs(&JobQuery::default()).await.unwrap().len();
    let volumes = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
    let fuse = Fuse::new(Arc::clone(&bench.state), at, after);
    bench.drive_on(Arc::clone(&fuse) as Arc<_>);

    let engine = bench.engine.clone();
    let asked = request.clone();
    let running = async {
        let id = engine.start_once(&asked, "story").await.unwrap();
        let day = std::time::Duration::from_secs(86_400);
        tokio::time::timeout(day, engine.wait(id))
            .await
            .expect(&what)
            .unwrap()
    };
    tokio::select! {
        biased;
        () = fuse.blown.notified() => {}
        job = running => {
            assert!(job.is_good(), "{what}: {job:#?}");
            assert!(fuse.commits.load(Ordering::SeqCst) >= at - 1);
            return false;
        }
    }
    bench.crash();

    // The restarted caller asks again, and gets the job that there is.
    let id = bench.engine.start_once(&request, "story").await.unwrap();
    let job = bench.finish(id).await;
    let jobs = bench.engine.jobs(&JobQuery::default()).await.unwrap().len();
    assert_eq!(jobs, earlier + 1, "{what}");
    if let Some(Outcome::NeedsIntervention { .. }) = &job.outcome {
        // Only where nobody but a person can tell what a lost call did.
        assert_eq!(
            personality,
            Personality::Process,
            "{what}: {:#?}",
            job.outcome
        );
        return true;
    }
    assert!(job.is_good(), "{what}: {:#?}", job.outcome);
    bench.check_no_orphans(&what).await;
    let now = ["root", "data"].map(|disk| bench.cloud.digest(&bench.disk(disk)));
    match request {
        Request::Restore(restore) if story == Story::InPlace => {
            let snapshot = bench.snapshot(restore.snapshot).await;
            let held: Vec<_> = snapshot
                .parts
                .iter()
                .map(|part| part.digest.unwrap())
                .collect();
            assert_eq!(now.to_vec(), held, "{what}");
        }
        Request::Undo { .. } => assert_ne!(now[0], volumes[0], "{what}"),
        _ => assert_eq!(now, volumes, "{what}"),
    }
    true
}
