//! Several engines on one state, one of which may be gone.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stillpoint_engine::{ItemResult, JobQuery, Request};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault, Personality};
use stillpoint_schedule::retention::Keep;
use stillpoint_state::{State, StateExt};

use crate::bed::{Bed, at, cron, of_web_1, on};
use crate::meddled::{Meddle, Meddled};

/// A view of the state whose every call lets others go first, as a seed has it.
fn in_turns(inner: &Arc<dyn State>, seed: u64) -> Arc<Meddled> {
    let mut random = seed;
    let random = Mutex::new(move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 60) as usize % 6
    });
    Meddled::new(inner, move |_| Meddle::Yield((random.lock().unwrap())()))
}

#[tokio::test(start_paused = true)]
async fn two_engines_on_one_state_do_nothing_twice_however_their_calls_mix() {
    let (mut conflicts, mut fired) = (0, [0, 0]);
    for seed in 0..30 {
        let mut bed = Bed::new();
        let views = [1, 2].map(|view| in_turns(&bed.state, 2 * seed + view));
        bed.up_on(&(Arc::clone(&views[0]) as Arc<dyn State>));
        let (_other, driving) = bed.another_on(&(Arc::clone(&views[1]) as Arc<dyn State>));
        let mut spec = on(cron("0 13,14,15 1 * *"));
        spec.keep = Some(Keep::new().last(1));
        bed.apply(&spec).await;
        bed.until(at("01T15:30")).await;

        let what = format!("seed {seed}");
        assert_eq!(
            bed.runs().await,
            ["01T13:00 done 2", "01T14:00 done 2", "01T15:00 done 2"],
            "{what}"
        );
        bed.check_none_twice(&what).await;
        for run in bed.engine.schedule_runs("nightly").await.unwrap() {
            let items = bed.engine.run_items(&run).await.unwrap();
            let taken =
                |it: &&stillpoint_engine::RunItem| matches!(it.result, ItemResult::Taken(_));
            assert_eq!(items.iter().filter(taken).count(), 2, "{what}: {items:?}");
            assert!(run.pruned.unwrap().is_good(), "{what}");
        }
        // Each run takes two, and deletes the two of the one before.
        let jobs = bed.engine.jobs(&JobQuery::default()).await.unwrap();
        let takes = jobs
            .iter()
            .filter(|it| matches!(it.request, Request::Take(_)));
        assert_eq!((takes.count(), jobs.len()), (6, 10), "{what}");
        assert!(jobs.iter().all(stillpoint_engine::Job::is_good), "{what}");
        assert_eq!(bed.names().await.len(), 2, "{what}");
        for (fired, view) in fired.iter_mut().zip(&views) {
            let refused = view.conflicts.load(Ordering::SeqCst);
            conflicts += refused;
            *fired += usize::from(refused > 0);
        }
        driving.abort();
    }
    println!("{conflicts} batches were refused");
    assert!(conflicts >= 30, "they hardly met: {conflicts}");
    assert!(
        fired.iter().all(|seeds| *seeds > 0),
        "one always won: {fired:?}"
    );
}

/// Who works the run off that is going.
async fn holder(bed: &Bed) -> String {
    let leases = bed.state.scan_prefix("lease/run/").await.unwrap();
    let leases = leases.collect().await.unwrap();
    let held = leases.iter().find(|it| it.key.ends_with("/holder"));
    let held: serde_json::Value = serde_json::from_slice(&held.unwrap().value).unwrap();
    held["holder"].as_str().unwrap().to_owned()
}

/// Two engines, of which the one that works a run off is killed while `slow` is on its way; when
/// the other has ended the run.
async fn one_is_killed(slow: OperationKind) -> Bed {
    let mut bed = Bed::on(Personality::Declarative);
    let (other, driving) = bed.another();
    let mut spec = of_web_1(cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(1));
    bed.apply(&spec).await;
    bed.until(at("03T01:00")).await;
    let by = Duration::from_secs(30);
    bed.cloud.fault(At::submit(slow), Fault::Slow { by });
    bed.until(at("03T02:00")).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let [.., job] = &bed.engine.jobs(&JobQuery::default()).await.unwrap()[..] else {
        panic!("there are no jobs")
    };
    assert!(!job.is_over(), "{slow:?}: {job:?}");
    if holder(&bed).await == "another" {
        driving.abort();
    } else {
        // Its runtime goes; what it asked of the cloud does not.
        bed.die();
        bed.engine = other;
    }
    bed.until(at("03T02:04")).await;
    bed
}

#[tokio::test(start_paused = true)]
async fn a_run_that_an_engine_leaves_is_taken_over_while_the_other_one_runs() {
    for slow in [OperationKind::Snapshot, OperationKind::DeleteSnapshot] {
        let bed = one_is_killed(slow).await;
        assert_eq!(
            bed.runs().await,
            ["02T02:00 done 1", "03T02:00 done 1"],
            "{slow:?}"
        );
        assert_eq!(bed.names().await, ["nightly-web-1-20260303-020000"]);
        bed.check_none_twice(&format!("{slow:?}")).await;
        let unfinished = JobQuery {
            unfinished: true,
            ..JobQuery::default()
        };
        assert_eq!(bed.engine.jobs(&unfinished).await.unwrap(), []);
        bed.until(at("04T12:00")).await;
        assert_eq!(bed.runs().await[2], "04T02:00 done 1");
    }
}
