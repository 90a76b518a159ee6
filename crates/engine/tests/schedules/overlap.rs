use std::time::Duration;

use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault};
use stillpoint_schedule::policy::Overlap;

use crate::bed::{Bed, at, cron, of_web_1};

/// A run of every minute that takes 140 seconds, eight times: when each begins.
async fn slow(overlap: Overlap, limit: u32) -> (Vec<String>, Vec<String>) {
    let bed = Bed::new();
    let by = Duration::from_secs(140);
    let snapshots = At::submit(OperationKind::Snapshot).times(1000);
    bed.cloud.fault(snapshots, Fault::Slow { by });
    let when = cron("13-20 13 1 * *").on_overlap(overlap);
    bed.apply(&of_web_1(when.with_limit(limit).unwrap())).await;
    bed.until(at("01T14:00")).await;
    bed.check_none_twice(&format!("{overlap:?}")).await;
    let times = |line: String| line.replace("01T13:", "");
    (
        bed.began().await.into_iter().map(times).collect(),
        bed.runs().await.into_iter().map(times).collect(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_its_period_under_each_policy() {
    let (began, runs) = slow(Overlap::Skip, 1).await;
    assert_eq!(began, ["13 for 13", "16 for 16", "19 for 19"]);
    assert_eq!(
        runs,
        [
            "13 done 1",
            "14 overlapped",
            "15 overlapped",
            "16 done 1",
            "17 overlapped",
            "18 overlapped",
            "19 done 1",
            "20 overlapped"
        ]
    );
    let (began, runs) = slow(Overlap::Queue, 1).await;
    assert_eq!(began, ["13 for 13", "15 for 14", "17 for 16", "20 for 18"]);
    assert_eq!(
        runs.iter()
            .filter(|run| run.ends_with("overlapped"))
            .count(),
        4
    );
    let (began, runs) = slow(Overlap::Allow, 2).await;
    assert_eq!(
        began,
        [
            "13 for 13",
            "14 for 14",
            "15 for 15",
            "16 for 16",
            "17 for 17",
            "18 for 18",
            "20 for 19"
        ]
    );
    assert_eq!(runs.last().unwrap(), "20 overlapped", "one waits already");
    let (began, _) = slow(Overlap::Allow, 9).await;
    let each = (13..=20).map(|minute| format!("{minute} for {minute}"));
    assert_eq!(began, each.collect::<Vec<_>>());
}
