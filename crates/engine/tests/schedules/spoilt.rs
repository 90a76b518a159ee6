//! One schedule that cannot be fired, or hardly, is not everybody's outage.

use stillpoint_core::{ErrorKind, ResourceKind, ResourceRef};
use stillpoint_engine::{ScheduleSpec, Select, Subject};
use stillpoint_schedule::policy::Missed;
use stillpoint_state::{Batch, Guard};

use crate::bed::{Bed, at, cron, nightly};

async fn spoil(bed: &Bed, key: &str) {
    let mut batch = Batch::new();
    batch.put(key, Guard::Any, "what a later version wrote");
    bed.state.commit(batch).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_holds_up_no_other() {
    for row in [
        "schedule/a",
        "scheduled/a",
        "run-open/a/2026-03-02T01:00:00",
    ] {
        let bed = Bed::new();
        let early = ScheduleSpec {
            name: "a".into(),
            when: cron("0 1 * * *"),
            ..nightly()
        };
        bed.apply(&early).await;
        bed.apply(&nightly()).await;
        if row.starts_with("run-open") {
            bed.until(at("02T00:59")).await;
        }
        spoil(&bed, row).await;
        bed.until(at("04T12:00")).await;
        assert_eq!(
            bed.runs().await,
            ["02T02:00 done 2", "03T02:00 done 2", "04T02:00 done 2"],
            "{row}"
        );
    }
}

/// So many by name that runs of it fill a batch; 20 of them were missed.
#[tokio::test(start_paused = true)]
async fn one_of_very_many_fires_all_that_it_missed() {
    let mut bed = Bed::new();
    let of = |count: usize| {
        let id = |number| format!("{number}-{}", "x".repeat(200));
        let name = |number| ResourceRef::new("prod", ResourceKind::Instance, id(number)).unwrap();
        Subject::Instances(Select::these((0..count).map(name)))
    };
    let spec = |count| ScheduleSpec {
        of: of(count),
        when: cron("0 * * * *").on_missed(Missed::All { at_most: 20 }),
        ..nightly()
    };
    let refused = bed.engine.plan_schedule(&spec(2000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("by a label"), "{refused}");
    bed.apply(&spec(300)).await;
    bed.down();
    bed.until(at("02T08:30")).await;
    bed.up();
    bed.until(at("02T08:31")).await;
    let fired = bed.engine.schedule_runs("nightly").await.unwrap();
    assert_eq!(fired.len(), 20, "{:?}", bed.runs().await);
}
