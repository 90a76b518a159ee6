use std::time::Duration;

use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault};
use stillpoint_schedule::policy::Overlap;

use crate::bed::{Bed, at, cron, of_web_1};

/// An hourly run that takes two hours and a half, from one to eight: when each begins.
async fn slow(overlap: Overlap, limit: u32) -> (Vec<String>, Vec<String>) {
    let bed = Bed::new();
    let by = Duration::from_secs(150 * 60);
    let snapshots = At::submit(OperationKind::Snapshot).times(1000);
    bed.cloud.fault(snapshots, Fault::Slow { by });
    let when = cron("0 13-20 1 * *").on_overlap(overlap);
    bed.apply(&of_web_1(when.with_limit(limit).unwrap())).await;
    bed.until(at("02T12:00")).await;
    bed.check_none_twice(&format!("{overlap:?}")).await;
    let times = |line: String| line.replace("01T", "");
    (
        bed.began().await.into_iter().map(times).collect(),
        bed.runs().await.into_iter().map(times).collect(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_its_period_under_each_policy() {
    let (began, runs) = slow(Overlap::Skip, 1).await;
    assert_eq!(
        began,
        ["13:00 for 13:00", "16:00 for 16:00", "19:00 for 19:00"]
    );
    assert_eq!(
        runs,
        [
            "13:00 done 1",
            "14:00 overlapped",
            "15:00 overlapped",
            "16:00 done 1",
            "17:00 overlapped",
            "18:00 overlapped",
            "19:00 done 1",
            "20:00 overlapped"
        ]
    );
    let (began, runs) = slow(Overlap::Queue, 1).await;
    assert_eq!(
        began,
        ["13:00 for 13:00", "15:30 for 14:00", "18:00 for 16:00", "20:30 for 19:00"]
    );
    assert_eq!(runs.iter().filter(|run| run.ends_with("overlapped")).count(), 4);
    let (began, _) = slow(Overlap::Allow, 2).await;
    assert_eq!(
        began,
        [
            "13:00 for 13:00",
            "14:00 for 14:00",
            "15:30 for 15:00",
            "16:30 for 16:00",
            "18:00 for 17:00",
            "19:00 for 18:00",
            "20:30 for 19:00",
            "21:30 for 20:00"
        ]
    );
    let (began, _) = slow(Overlap::Allow, 9).await;
    let each = (13..=20).map(|hour| format!("{hour}:00 for {hour}:00"));
    assert_eq!(began, each.collect::<Vec<_>>());
}
