//! What is there is sorted by whose it is, on every sort of cloud; what is ours and lost is
//! removed when asked, and nothing else ever is.

mod common;

use std::time::Duration;

use common::{Bench, Story};
use stillpoint_core::ErrorKind;
use stillpoint_engine::{Request, Take};
use stillpoint_iaas::sim::{At, Call, Fault, Personality};
use stillpoint_iaas::{Identity, OperationKind};
use stillpoint_state::Batch;

#[tokio::test(start_paused = true)]
async fn what_the_state_forgot_is_told_from_what_is_known_and_what_is_foreign() {
    for personality in Personality::ALL {
        let what = personality.to_string();
        let bench = Bench::new(personality);
        let known = bench.take().await.unwrap();
        let lost = bench.take().await.unwrap();
        let theirs = bench.cloud.add_snapshot("theirs", &bench.disk("root"));
        // As a state is that was put back from an older copy of the catalogue.
        let row = bench.engine.catalogue().get(lost.id).await.unwrap();
        let mut batch = Batch::new();
        bench.engine.by("anna").remove(&mut batch, &row).unwrap();
        bench.state.commit(batch).await.unwrap();

        let before = bench.cloud.inventory();
        let report = bench.engine.orphans("prod").await.expect(&what);
        assert_eq!(bench.cloud.inventory(), before, "{what}");
        let mut forgotten: Vec<_> = lost.parts.iter().map(|it| it.snapshot.clone()).collect();
        forgotten.sort();
        let untracked: Vec<_> = report
            .untracked
            .iter()
            .map(|it| it.resource.clone())
            .collect();
        assert_eq!(untracked, forgotten, "{what}");
        assert!(
            report.untracked.iter().all(|it| it.job == lost.job),
            "{what}"
        );
        for part in &known.parts {
            assert!(report.tracked.contains(&part.snapshot), "{what}");
        }
        assert_eq!(report.tracked.len(), known.parts.len(), "{what}");
        assert_eq!(report.listed, personality != Personality::Process);
        if report.listed {
            assert_eq!(report.foreign.len(), before.items.len() - 4, "{what}");
            assert!(report.foreign.contains(&theirs), "{what}");
        }
        assert!(report.unclear.is_empty(), "{what}: {:#?}", report.unclear);

        for refused in [theirs, bench.disk("root"), known.parts[0].snapshot.clone()] {
            let request = Request::Remove { resource: refused };
            let error = bench.run(request).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition, "{what}: {error}");
        }
        assert_eq!(bench.cloud.inventory(), before, "{what}");
        for resource in forgotten {
            bench.run(Request::Remove { resource }).await.expect(&what);
        }
        bench.check_no_orphans(&what).await;
        let report = bench.engine.orphans("prod").await.expect(&what);
        assert!(
            report.untracked.is_empty(),
            "{what}: {:#?}",
            report.untracked
        );
    }
}

/// What came later than its system promises is nobody's, and found.
#[tokio::test(start_paused = true)]
async fn what_comes_after_its_time_is_found_and_removed() {
    let bench = Bench::new(Personality::Rest);
    let late = Fault::PromiseBroken {
        by: Duration::from_secs(3600),
    };
    bench.cloud.fault(At::submit(OperationKind::Snapshot), late);
    let job = bench
        .run(Request::Take(Take::of(bench.web.clone())))
        .await
        .unwrap();
    assert!(
        bench
            .engine
            .orphans("prod")
            .await
            .unwrap()
            .untracked
            .is_empty()
    );
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    bench.cloud.settle().await;
    let report = bench.engine.orphans("prod").await.unwrap();
    let ours = bench.cloud.inventory().ours().count();
    assert!(!report.untracked.is_empty());
    assert_eq!(report.tracked.len() + report.untracked.len(), ours);
    assert!(report.untracked.iter().all(|it| it.job == job.id));
    for lost in report.untracked {
        let resource = lost.resource;
        bench.run(Request::Remove { resource }).await.unwrap();
    }
    bench.check_no_orphans("after the late ones are gone").await;
}

/// Timed out but done, at every call of every story: nothing is left that nobody knows of.
#[tokio::test(start_paused = true)]
async fn what_timed_out_and_was_done_is_no_orphan() {
    let mut tried = 0;
    for personality in Personality::ALL {
        for story in Story::ALL.into_iter().filter(|it| it.works_on(personality)) {
            for nth in 1.. {
                let what = format!("{personality}, {story:?}, call {nth}");
                let bench = Bench::new(personality);
                let request = bench.set_up(story).await;
                let theirs = bench.cloud.add_snapshot("theirs", &bench.disk("root"));
                let fault = Fault::TimedOut { done: true };
                bench.cloud.fault(At::call(Call::Submit).nth(nth), fault);
                let plan = bench.engine.plan(&request).await.expect(&what);
                let id = bench.engine.start(&plan).await.expect(&what);
                let job = bench.finish(id).await;
                if bench.cloud.faults_left() > 0 {
                    break;
                }
                let report = bench.engine.orphans("prod").await.expect(&what);
                let blind = bench.cloud.capabilities().identity == Identity::TicketOnly;
                if job.is_good() {
                    assert!(
                        report.untracked.is_empty(),
                        "{what}: {:#?}",
                        report.untracked
                    );
                    assert!(report.unclear.is_empty(), "{what}: {:#?}", report.unclear);
                    bench.check_no_orphans(&what).await;
                } else {
                    // A person has to look, and is told at what.
                    assert!(blind && !report.unclear.is_empty(), "{what}: {job:#?}");
                }
                assert!(
                    bench.cloud.inventory().items.contains_key(&theirs),
                    "{what}"
                );
                tried += 1;
            }
        }
    }
    println!("{tried} calls timed out and were done");
    assert!(tried > 80, "{tried}");
}

/// An answer that never comes, and one that is none: the report says of what, and has the rest.
#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_is_unclear_and_no_more() {
    for fault in [Fault::LostReply { done: true }, Fault::Unavailable] {
        let what = format!("{fault:?}");
        let bench = Bench::new(Personality::Rest);
        let known = bench.take().await.unwrap();
        bench.cloud.fault(At::call(Call::Observe), fault);
        let asked = bench.engine.orphans("prod");
        let hour = Duration::from_secs(3600);
        let report = tokio::time::timeout(hour, asked).await.expect(&what);
        let report = report.expect(&what);
        assert_eq!(bench.cloud.faults_left(), 0, "{what}");
        let unclear = &report.unclear[..];
        assert!(
            matches!(unclear, [one] if one.job == known.job),
            "{what}: {unclear:?}"
        );
        assert_eq!(report.tracked.len(), known.parts.len(), "{what}");
        assert!(report.untracked.is_empty(), "{what}");
    }
}
