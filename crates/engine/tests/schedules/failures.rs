use stillpoint_core::ErrorKind;
use stillpoint_engine::{ItemResult, RunState, ScheduleSpec, Select, Subject};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Call, Fault};

use crate::bed::{Bed, at, cron, nightly, web};

#[tokio::test(start_paused = true)]
async fn a_failing_resource_stops_no_other() {
    let bed = Bed::new();
    let gone = "prod/instance/gone".parse().unwrap();
    let these = Select::these([gone, web(1), web(2)]);
    let spec = ScheduleSpec::new("nightly", Subject::Instances(these), cron("0 2 * * *"));
    bed.apply(&spec).await;
    // One of the two that exist cannot be taken in the first night.
    bed.cloud
        .fault(At::submit(OperationKind::Snapshot), Fault::QuotaShort);
    bed.until(at("03T12:00")).await;
    assert_eq!(
        bed.runs().await,
        ["02T02:00 failed 2, done 1", "03T02:00 failed 1, done 2"]
    );
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let items = bed.engine.run_items(&runs[0]).await.unwrap();
    let kinds: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.result {
            ItemResult::Failed(report) => Some((item.resource.id(), report.kind)),
            ItemResult::Taken(_) => None,
        })
        .collect();
    assert_eq!(kinds[0], ("gone", ErrorKind::NotFound));
    assert_eq!(kinds[1].1, ErrorKind::Quota);
    assert_eq!(items.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_for_a_while_is_asked_again() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("02T01:00")).await;
    let list = At::call(Call::List).times(2);
    bed.cloud.fault(list, Fault::Unavailable);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 done 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_stays_away_is_a_failure_and_not_an_empty_run() {
    let bed = Bed::new();
    bed.apply(&nightly()).await;
    bed.until(at("02T01:00")).await;
    let list = At::call(Call::List).times(1000);
    bed.cloud.fault(list, Fault::Unavailable);
    bed.until(at("02T12:00")).await;
    assert_eq!(bed.runs().await, ["02T02:00 failed 0, done 0"]);
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    match &runs[0].state {
        RunState::Failed { unreachable, .. } => {
            assert!(
                unreachable[0].message.starts_with("prod:"),
                "{unreachable:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    bed.cloud.clear_faults();
    bed.until(at("03T12:00")).await;
    assert_eq!(bed.runs().await[1], "03T02:00 done 2");
}
