//! What did not go at the first try is tried again, and what was done is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use stillpoint_core::ErrorKind;
use stillpoint_engine::{ItemResult, Request, Restore};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Call, Fault};
use stillpoint_state::State;

use crate::bed::{Bed, at, cron, hours, nightly, of_web_1, on};
use crate::meddled::{Meddle, Meddled, Verb};

/// A bed whose engine loses its state while the flag is up.
fn with_a_state_that_goes() -> (Bed, Arc<AtomicBool>) {
    let mut bed = Bed::new();
    let away = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&away);
    let state: Arc<dyn State> = Meddled::new(&bed.state, move |_| {
        if flag.load(Ordering::SeqCst) {
            Meddle::Away
        } else {
            Meddle::Pass
        }
    });
    bed.up_on(&state);
    (bed, away)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_be_recorded_is_fired_once_it_can_be() {
    let (bed, away) = with_a_state_that_goes();
    bed.apply(&nightly()).await;
    bed.until(at("02T01:59")).await;
    away.store(true, Ordering::SeqCst);
    bed.until(at("02T02:20")).await;
    away.store(false, Ordering::SeqCst);
    bed.until(at("03T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 done 2", "03T02:00 done 2"]);
    assert_eq!(bed.began().await[0], "02T02:20 for 02T02:00");
    bed.check_none_twice("the state was away").await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_state_goes_meanwhile_goes_on_once_it_is_back() {
    let (bed, away) = with_a_state_that_goes();
    bed.apply(&nightly()).await;
    // The end of the snapshots falls into the time in which nothing can be written down.
    let by = Duration::from_secs(120);
    let snapshots = At::submit(OperationKind::Snapshot).times(2);
    bed.cloud.fault(snapshots, Fault::Slow { by });
    bed.until(at("02T02:01")).await;
    away.store(true, Ordering::SeqCst);
    bed.until(at("02T02:20")).await;
    away.store(false, Ordering::SeqCst);
    bed.until(at("02T02:30")).await;
    assert_eq!(bed.runs().await, ["02T02:00 done 2"]);
    assert_eq!(bed.began().await, ["02T02:00 for 02T02:00"]);
    bed.check_none_twice("the state was away").await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_planned_just_now_is_planned_again() {
    let bed = Bed::new();
    bed.apply(&of_web_1(cron("0 2 * * *"))).await;
    bed.until(at("02T01:00")).await;
    let describe = At::call(Call::Describe).times(3);
    bed.cloud.fault(describe, Fault::Unavailable);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.cloud.faults_left(), 0);
    assert_eq!(bed.runs().await, ["02T02:00 done 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_planned_fails_after_some_tries() {
    let bed = Bed::new();
    bed.apply(&of_web_1(cron("0 2 * * *"))).await;
    bed.until(at("02T01:00")).await;
    let describe = At::call(Call::Describe).times(1000);
    bed.cloud.fault(describe, Fault::Unavailable);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 failed 1, done 0"]);
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let items = bed.engine.run_items(&runs[0]).await.unwrap();
    match &items[0].result {
        ItemResult::Failed(report) => assert_eq!(report.kind, ErrorKind::Unavailable),
        taken @ ItemResult::Taken(_) => panic!("{taken:?}"),
    }
    let took = runs[0].ended_at.unwrap().duration_since(runs[0].fired_at);
    // Six tries, ten seconds apart: sooner than that nobody is asked again, whatever they say.
    assert!((50..=55).contains(&took.as_secs()), "{took:?}");
    assert_eq!(bed.cloud.faults_left(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_another_job_changes_is_taken_after_it() {
    let bed = Bed::new();
    bed.apply(&of_web_1(cron("0 2 * * *"))).await;
    bed.until(at("02T12:00")).await;
    let snapshot = bed.snapshots().await[0].id;
    bed.until(at("03T01:59")).await;
    let by = Duration::from_secs(80);
    let revert = At::submit(OperationKind::Revert);
    bed.cloud.fault(revert, Fault::Slow { by });
    let restore = Request::Restore(Restore::in_place(snapshot));
    let plan = bed.engine.plan(&restore).await.unwrap();
    let restore = bed.engine.start(&plan).await.unwrap();
    bed.until(at("03T12:00")).await;
    assert_eq!(bed.runs().await[1], "03T02:00 done 1");
    let restored = bed.engine.job(restore).await.unwrap().ended_at.unwrap();
    assert!(restored > at("03T02:00"), "{restored}");
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let item = &bed.engine.run_items(&runs[1]).await.unwrap()[0];
    let job = bed.engine.job(item.job.unwrap()).await.unwrap();
    assert!(job.started_at >= restored, "{}", job.started_at);
}

/// The clock goes back, the run is due once more, and whoever looks whether it was fired reads
/// what was there before it was: the batch itself has to be refused.
#[tokio::test(start_paused = true)]
async fn a_run_is_not_written_over_whatever_was_read_of_it() {
    let mut bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("04T02:10")).await;
    let before = bed.engine.schedule_runs("nightly").await.unwrap();
    assert_eq!(before.len(), 3);

    let (blind, calls) = (AtomicBool::new(true), AtomicUsize::new(0));
    let state = Meddled::new(&bed.state, move |verb| {
        let calls = calls.fetch_add(1, Ordering::SeqCst);
        assert!(calls < 100_000, "it is tried for ever: {verb:?}");
        match verb {
            Verb::Get("run/nightly/2026-03-04T02:00:00") if blind.swap(false, Ordering::SeqCst) => {
                Meddle::Blind
            }
            _ => Meddle::Pass,
        }
    });
    bed.down();
    bed.jump(-hours(3));
    bed.up_on(&(Arc::clone(&state) as Arc<dyn State>));
    bed.until(at("04T12:00")).await;
    assert_eq!(state.conflicts.load(Ordering::SeqCst), 1);
    assert_eq!(bed.engine.schedule_runs("nightly").await.unwrap(), before);
    bed.until(at("05T12:00")).await;
    assert_eq!(bed.runs().await[3], "05T02:00 done 2");
    bed.check_none_twice("written over").await;
}

/// A schedule counts from when it is changed: where the clock went back, from before runs that
/// were fired.
#[tokio::test(start_paused = true)]
async fn those_that_were_fired_keep_no_other_from_it() {
    let mut bed = Bed::new();
    let calls = AtomicUsize::new(0);
    let state: Arc<dyn State> = Meddled::new(&bed.state, move |verb| {
        let calls = calls.fetch_add(1, Ordering::SeqCst);
        assert!(calls < 100_000, "it is tried for ever: {verb:?}");
        Meddle::Pass
    });
    bed.up_on(&state);
    bed.apply(&on(cron("0 * * * *"))).await;
    bed.until(at("01T15:10")).await;
    let before = bed.engine.schedule_runs("nightly").await.unwrap();
    bed.jump(-hours(3));
    bed.apply(&on(cron("0,30 * * * *"))).await;
    bed.until(at("01T14:10")).await;
    let times = ["12:30", "13:00", "13:30", "14:00", "15:00"];
    let done = times.map(|time| format!("01T{time} done 2"));
    assert_eq!(bed.runs().await, done);
    let after = bed.engine.schedule_runs("nightly").await.unwrap();
    assert_eq!(
        [&after[1], &after[3], &after[4]],
        [&before[0], &before[1], &before[2]]
    );
    bed.check_none_twice("fired before").await;
}
