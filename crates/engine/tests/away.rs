//! A system that takes no calls for a while: its restart is waited out, and an outage is not.

mod common;

use std::time::Duration;

use common::{Bench, Story};
use jiff::SignedDuration;
use stillpoint_core::{Consistency, ErrorKind, JobId};
use stillpoint_engine::{Job, Request, Take};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Call, Fault, NewInstance, Personality};
use stillpoint_restore::Outcome;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn took(job: &Job) -> SignedDuration {
    job.ended_at.unwrap().duration_since(job.started_at)
}

/// Starts it while no call for a snapshot is taken.
async fn start_while_away(bench: &Bench, request: &Request) -> JobId {
    let away = At::submit(OperationKind::Snapshot).times(1000);
    bench.cloud.fault(away, Fault::Unavailable);
    let plan = bench.engine.plan(request).await.unwrap();
    bench.engine.start(&plan).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_minute_is_waited_out() {
    for personality in Personality::ALL {
        for story in Story::ALL
            .into_iter()
            .filter(|story| story.works_on(personality))
        {
            let what = format!("{personality}, {story:?}");
            let bench = Bench::new(personality);
            let request = bench.set_up(story).await;
            let away = At::call(Call::Submit).times(1000);
            bench.cloud.fault(away, Fault::Unavailable);
            let plan = bench.engine.plan(&request).await.unwrap();
            let id = bench.engine.start(&plan).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(bench.cloud.faults_left() < 1000, "{what}");
            bench.cloud.clear_faults();
            let job = bench.finish(id).await;
            assert!(job.is_good(), "{what}: {:#?}", job.outcome);
            bench.check_no_orphans(&what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_the_job_as_it_began() {
    let bench = Bench::new(Personality::Rest);
    let request = bench.set_up(Story::Take).await;
    let id = start_while_away(&bench, &request).await;
    let job = bench.finish(id).await;
    assert!(took(&job) < MINUTE * 10, "{}", took(&job));
    let error = job.into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("nobody answers"), "{error}");
    bench.cloud.clear_faults();
    bench.check_no_orphans("an outage").await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait() {
    let bench = Bench::new(Personality::Rest);
    let request = bench.set_up(Story::Take).await;
    let id = start_while_away(&bench, &request).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.engine.stop(id).await.unwrap();
    let job = bench.finish(id).await;
    assert!(
        matches!(job.outcome, Some(Outcome::Cancelled { .. })),
        "{:#?}",
        job.outcome
    );
    assert!(took(&job) < SignedDuration::from_secs(35), "{}", took(&job));
    bench.cloud.clear_faults();
    bench.check_no_orphans("a stop").await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_kept_off_for_it() {
    let bench = Bench::with(Personality::Rest, NewInstance::without_agent);
    let take = Take {
        at_least: Consistency::Filesystem,
        // More than freezing it gives.
        prefer: Consistency::Application,
        may_power_off: Some(Duration::from_secs(300)),
        ..Take::of(bench.web.clone())
    };
    let request = Request::Take(take);
    let plan = bench.engine.plan(&request).await.unwrap();
    let off = plan.steps.as_ref().unwrap().find_bracket("power");
    assert!(off.is_some(), "{plan}");
    let id = start_while_away(&bench, &request).await;
    let job = bench.finish(id).await;
    assert!(took(&job) < MINUTE, "{}", took(&job));
    assert!(
        matches!(
            job.outcome,
            Some(Outcome::RolledBack { .. } | Outcome::Failed { .. })
        ),
        "{:#?}",
        job.outcome
    );
    bench.cloud.clear_faults();
    bench.check_no_orphans("an outage while it is off").await;
}
