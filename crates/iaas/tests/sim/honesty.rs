//! What a system cannot know it does not say, and what is over is not said again.

use std::time::Duration;

use stillpoint_core::{Capture, Consistency, ErrorKind, ResourceKind};
use stillpoint_iaas::sim::{At, Fault, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Observation, Operation, OperationKind, Provider};
use tokio::time::sleep;

use crate::ask::{MIB, key, new_volume, output, run, snapshot, submit, taken};

const FAILS: Fault = Fault::Fails {
    after: Duration::ZERO,
};

#[tokio::test(start_paused = true)]
async fn a_cpi_does_not_know_that_an_instance_is_off() {
    let cloud = SimCloud::new(Personality::Process);
    let web = cloud.add_instance(NewInstance::new("web-1").disk("root", MIB).off());
    let root = cloud.disk(&web, "root").unwrap();
    let provider = cloud.connect();
    let take = Operation::Snapshot(snapshot(&web, &[&root]));
    let taken = taken(run(&provider, "take", &take).await.unwrap());
    assert_eq!(taken.capture, Capture::Live);
    assert_eq!(taken.consistency, Consistency::Crash);
}

#[test]
fn what_cannot_freeze_promises_no_more_than_crash() {
    for personality in Personality::ALL {
        let can = personality.capabilities();
        let instance = can.snapshots[&ResourceKind::Instance];
        let freezes = can.can(OperationKind::Freeze) || instance.composite;
        let more = instance.live > Some(Consistency::Crash);
        assert_eq!(more, freezes, "{personality}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_still_being_made_is_not_deleted() {
    let cloud = SimCloud::new(Personality::Rest);
    let provider = cloud.connect();
    submit(&provider, "make", &new_volume(MIB, None))
        .await
        .unwrap();
    let there = cloud.inventory();
    let (volume, _) = there.ours().next().unwrap();
    let delete = Operation::DeleteVolume {
        volume: volume.clone(),
    };
    let error = submit(&provider, "delete", &delete).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    cloud.settle().await;
    output(run(&provider, "delete", &delete).await.unwrap());
    assert!(cloud.inventory().items.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_not_told_of_the_first_ones_failure() {
    let cloud = SimCloud::new(Personality::Process);
    let provider = cloud.connect();
    cloud.fault(At::submit(OperationKind::CreateVolume), FAILS);
    let make = new_volume(MIB, None);
    run(&provider, "make", &make).await.unwrap_err();
    output(run(&provider, "make", &make).await.unwrap());

    let cloud = SimCloud::new(Personality::Declarative);
    let web = cloud.add_instance(NewInstance::new("web-1").disk("root", MIB));
    let provider = cloud.connect();
    cloud.fault(At::submit(OperationKind::Freeze), FAILS);
    let freeze = Operation::Freeze {
        instance: web,
        at_most: Duration::from_secs(5),
    };
    let failed = run(&provider, "freeze", &freeze).await.unwrap();
    assert!(matches!(failed, Observation::Failed { .. }), "{failed:?}");
    submit(&provider, "freeze", &freeze).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let seen = provider.observe(&key("freeze"), &freeze, None).await;
    assert!(matches!(seen, Ok(Observation::Absent)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_knows_of_its_own_cancel_and_the_next_one_does_not() {
    let cloud = SimCloud::new(Personality::Rest);
    let provider = cloud.connect();
    let make = new_volume(MIB, None);
    submit(&provider, "make", &make).await.unwrap();
    provider.cancel(&key("make"), &make, None).await.unwrap();
    let seen = provider.observe(&key("make"), &make, None).await;
    assert!(
        matches!(seen, Ok(Observation::Cancelled { .. })),
        "{seen:?}"
    );
    let next = cloud.restart();
    let seen = next.observe(&key("make"), &make, None).await;
    assert!(matches!(seen, Ok(Observation::Absent)), "{seen:?}");
}
