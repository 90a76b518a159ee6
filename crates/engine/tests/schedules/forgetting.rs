//! What is over for long is forgotten: the state does not grow with the time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{ErrorKind, JobId};
use stillpoint_engine::{JobQuery, Request, Take};
use stillpoint_schedule::retention::Keep;
use stillpoint_state::{Batch, Guard, Memory, State, StateExt};

use crate::bed::{Bed, cron, of_web_1, web};
use crate::common::Fuse;

/// Runs of the first night of each month, every two minutes.
const RUNS: usize = 120;

/// `web-1` in the first night of each month, of which two are kept; it is April.
async fn bed() -> Bed {
    let bed = Bed::new();
    let mut spec = of_web_1(cron("*/2 0-3 1 * *"));
    spec.keep = Some(Keep::new().last(2));
    bed.apply(&spec).await;
    bed
}

fn first_of(month: u8) -> Timestamp {
    format!("2026-{month:02}-01T00:00:00Z").parse().unwrap()
}

/// Nobody is there until shortly before a night, which is then lived through.
async fn live(bed: &mut Bed, month: u8) {
    bed.down();
    let night = first_of(month);
    bed.until(night - SignedDuration::from_mins(5)).await;
    bed.up();
    bed.until(night + SignedDuration::from_hours(5)).await;
}

/// Nobody is there for so many days, and then there is an engine for some minutes.
async fn look_in(bed: &mut Bed, state: &Arc<dyn State>, days: i64) {
    bed.down();
    bed.until(bed.now() + SignedDuration::from_hours(24 * days))
        .await;
    bed.up_on(state);
    bed.until(bed.now() + SignedDuration::from_mins(10)).await;
}

/// All but the audit, which is there to be kept.
async fn keys(bed: &Bed) -> usize {
    let all = bed.state.scan("", "").await.unwrap();
    let all = all.collect().await.unwrap();
    let kept = all.iter().filter(|it| !it.key.starts_with("audit/"));
    kept.count()
}

async fn jobs(bed: &Bed) -> Vec<JobId> {
    let jobs = bed.engine.jobs(&JobQuery::default()).await.unwrap();
    jobs.into_iter().map(|it| it.id).collect()
}

async fn runs(bed: &Bed) -> usize {
    bed.engine.schedule_runs("nightly").await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_state_is_as_large_after_half_a_year_as_after_a_quarter() {
    let mut bed = bed().await;
    let mut sizes = Vec::new();
    for month in 4..=9 {
        live(&mut bed, month).await;
        sizes.push((keys(&bed).await, jobs(&bed).await.len(), runs(&bed).await));
    }
    // This night and the one a month before, each run with a take and a deletion.
    let same = sizes[2..].iter().all(|size| *size == sizes[2]);
    assert!(same, "{sizes:?}");
    assert_eq!((sizes[2].1, sizes[2].2), (4 * RUNS, 2 * RUNS));
    bed.check_none_twice("half a year").await;
}

#[tokio::test(start_paused = true)]
async fn the_last_hundred_runs_are_known_however_long_ago_they_were() {
    let mut bed = bed().await;
    live(&mut bed, 4).await;
    assert_eq!(runs(&bed).await, RUNS);
    bed.engine.remove_schedule("nightly").await.unwrap();
    let state = Arc::clone(&bed.state);
    look_in(&mut bed, &state, 29).await;
    assert_eq!(runs(&bed).await, RUNS, "it is not a month yet");
    look_in(&mut bed, &state, 400).await;
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    assert_eq!(runs.len(), 100, "also of a schedule that is no more");
    assert_eq!(
        runs[99].run.at,
        first_of(4) + SignedDuration::from_mins(238)
    );
    assert_eq!(bed.engine.run_items(&runs[0]).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_known_as_long_as_what_it_took_and_one_by_hand_for_ever() {
    let mut bed = bed().await;
    let run = async |bed: &Bed, request: Request| {
        let plan = bed.engine.plan(&request).await.unwrap();
        let job = bed.engine.start(&plan).await.unwrap();
        bed.engine.wait(job).await.unwrap();
        job
    };
    let by_hand = run(&bed, Request::Take(Take::of(web(1)))).await;
    bed.until(first_of(4) + SignedDuration::from_secs(90)).await;
    let taken = bed.snapshots().await.pop().unwrap();
    let anna = bed.engine.by("anna");
    anna.pin(taken.id, "audit").await.unwrap();
    bed.until(first_of(4) + SignedDuration::from_hours(5)).await;
    bed.engine.remove_schedule("nightly").await.unwrap();
    let state = Arc::clone(&bed.state);
    look_in(&mut bed, &state, 40).await;
    // By hand, the one that is pinned, and the last two.
    assert_eq!(jobs(&bed).await.len(), 4);
    assert_eq!(jobs(&bed).await[..2], [by_hand, taken.job]);
    assert!(!bed.engine.journal(taken.job).await.unwrap().is_empty());
    bed.engine.plan_of(taken.job).await.unwrap();

    let anna = bed.engine.by("anna");
    anna.unpin(taken.id, "audit").await.unwrap();
    let snapshot = taken.id;
    let delete = run(&bed, Request::Delete { snapshot }).await;
    look_in(&mut bed, &state, 40).await;
    let left = jobs(&bed).await;
    assert_eq!((left.len(), left[0], left[3]), (4, by_hand, delete));
    let forgotten = bed.engine.job(taken.job).await.unwrap_err();
    assert_eq!(forgotten.kind(), ErrorKind::NotFound);
    // Neither its journal nor the key that it was started under.
    for prefix in [
        format!("job/{}/", taken.job),
        "once/schedule/nightly@2026-04-01T00:00:00".to_owned(),
    ] {
        let left = bed.state.scan_prefix(&prefix).await.unwrap();
        assert_eq!(left.collect().await.unwrap(), [], "{prefix}");
    }
}

async fn copy(state: &Arc<dyn State>) -> Arc<dyn State> {
    let copy: Arc<dyn State> = Arc::new(Memory::new());
    let all = state.scan("", "").await.unwrap().collect().await.unwrap();
    for entry in all {
        let mut batch = Batch::new();
        batch.put(entry.key, Guard::Absent, entry.value);
        copy.commit(batch).await.unwrap();
    }
    copy
}

/// Killed at one of the writes with which a night is forgotten; the next start forgets the rest.
#[tokio::test(start_paused = true)]
async fn killed_while_it_forgets_it_forgets_the_rest_later() {
    let mut bed = bed().await;
    live(&mut bed, 4).await;
    bed.engine.remove_schedule("nightly").await.unwrap();
    bed.down();
    let night = copy(&bed.state).await;
    let mut kills = 0;
    for number in (1..).step_by(9) {
        let what = format!("killed at write {number}");
        bed.state = copy(&night).await;
        let state = Arc::clone(&bed.state);
        let fuse = Fuse::new(Arc::clone(&state), number, number % 2 == 0);
        let view = Arc::clone(&fuse) as Arc<dyn State>;
        let killed = tokio::select! {
            biased;
            () = fuse.blown.notified() => true,
            () = look_in(&mut bed, &view, 40) => false,
        };
        look_in(&mut bed, &state, 0).await;
        assert_eq!(runs(&bed).await, 100, "{what}");
        // Of the two snapshots that there are, and nothing else.
        let jobs = jobs(&bed).await;
        assert_eq!(jobs.len(), 2, "{what}");
        let left = state.scan_prefix("job/").await.unwrap();
        for entry in left.collect().await.unwrap() {
            let of_these = |job: &JobId| entry.key.contains(&job.to_string());
            assert!(jobs.iter().any(of_these), "{what}: {}", entry.key);
        }
        if !killed {
            break;
        }
        kills += 1;
    }
    println!("{kills} kill points");
    // 20 runs with an item each, 118 takes and as many deletions with a journal each.
    assert!(kills > 40, "{kills}");
}
