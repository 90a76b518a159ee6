//! A snapshot of which a part was deleted passes for no whole one.

mod common;

use common::Bench;
use stillpoint_core::{ErrorKind, SnapshotState};
use stillpoint_engine::{Claim, Request, Restore};
use stillpoint_iaas::OperationKind;
use stillpoint_iaas::sim::{At, Fault, Personality};

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_snapshot_is_not_the_snapshot() {
    let bench = Bench::new(Personality::Files);
    let other = bench.take().await.unwrap();
    let taken = bench.take().await.unwrap();
    let second = At::submit(OperationKind::DeleteSnapshot).nth(2).times(50);
    bench.cloud.fault(second, Fault::QuotaShort);
    let delete = Request::Delete { snapshot: taken.id };
    bench.run(delete).await.unwrap_err();
    bench.cloud.clear_faults();
    let left = bench.snapshot(taken.id).await;
    assert_eq!(left.state, SnapshotState::Partial);
    assert_eq!(left.parts.len(), 1);

    let all = Restore::in_place(taken.id);
    let named = Restore {
        disks: Some(vec![left.parts[0].disk.clone()]),
        ..all.clone()
    };
    let plan = bench.engine.plan(&Request::Restore(all)).await.unwrap();
    assert!(
        plan.blocked_by[0].contains("name those that are wanted"),
        "{plan}"
    );
    bench.run(Request::Restore(named)).await.unwrap();

    // Nor does anything older go because of it.
    let delete = Request::Delete { snapshot: other.id };
    let mut plan = bench.engine.plan(&delete).await.unwrap();
    plan.claims.push(Claim::KeepGood(taken.id));
    let refused = bench.engine.start(&plan).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Precondition);
    assert!(refused.to_string().contains("no longer whole"), "{refused}");
    bench.snapshot(other.id).await;
}
