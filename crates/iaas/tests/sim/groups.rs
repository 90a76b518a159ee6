//! Groups are whole, or say what there is of them.

use std::collections::BTreeSet;
use std::time::Duration;

use stillpoint_core::{ErrorKind, World};
use stillpoint_iaas::sim::{At, Fault, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Observation, Operation, OperationKind, Provider};

use crate::ask::{MIB, key, run, snapshot, submit, taken};

const COMPOSITE: [Personality; 3] = [
    Personality::Declarative,
    Personality::InProcess,
    Personality::Rest,
];

fn group(cloud: &SimCloud, disks: usize) -> Operation {
    let new = (0..disks).fold(NewInstance::new("web-1"), |new, number| {
        new.disk(format!("disk-{number}"), MIB)
    });
    let web = cloud.add_instance(new.ephemeral("scratch", MIB));
    let volumes: Vec<_> = (0..disks)
        .map(|number| cloud.disk(&web, &format!("disk-{number}")).unwrap())
        .collect();
    let mut take = snapshot(&web, &volumes.iter().collect::<Vec<_>>());
    take.group = true;
    take.quiesce = Some(Duration::from_secs(120));
    Operation::Snapshot(take)
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_at_any_part_names_all_that_it_left() {
    let mut tried = 0;
    for personality in COMPOSITE {
        for disks in 1..=8 {
            for at in 0..disks {
                for leaves in [false, true] {
                    let cloud = SimCloud::new(personality);
                    let take = group(&cloud, disks);
                    let provider = cloud.connect();
                    let fault = Fault::HalfDone { at, leaves };
                    cloud.fault(At::submit(OperationKind::Snapshot), fault);
                    let seen = run(&provider, "take", &take).await.unwrap();
                    let Observation::Failed { left, .. } = seen else {
                        panic!("{fault:?} of {disks} on {personality}: {seen:?}");
                    };
                    let there = cloud.inventory();
                    let ours: BTreeSet<_> = there.ours().map(|(it, _)| it).collect();
                    assert_eq!(left.iter().collect::<BTreeSet<_>>(), ours);
                    let freezes = cloud.freeze_log();
                    assert!(freezes.iter().all(|freeze| freeze.until.is_some()));
                    if leaves && personality == Personality::Rest {
                        assert_eq!(left.len(), at);
                    }
                    if !leaves {
                        assert!(left.is_empty());
                    }
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 3 * 2 * 36);
}

#[tokio::test(start_paused = true)]
async fn the_quota_is_for_the_whole_group_and_before_any_freeze() {
    for personality in COMPOSITE {
        let cloud = SimCloud::builder(personality).snapshot_quota(3).build();
        let take = group(&cloud, 4);
        let before = cloud.inventory();
        let provider = cloud.connect();
        let error = submit(&provider, "take", &take).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Quota);
        assert_eq!(error.world(), World::Untouched);
        assert_eq!(cloud.inventory(), before);
        assert!(cloud.freeze_log().is_empty(), "{personality}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_composite_on_rest_leaves_its_snapshots_and_says_so() {
    let cloud = SimCloud::new(Personality::Rest);
    let take = group(&cloud, 3);
    let provider = cloud.connect();
    let ticket = submit(&provider, "take", &take).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let name = key("take");
    provider.cancel(&name, &take, Some(&ticket)).await.unwrap();
    // Another client, which knows the key alone, is told the same.
    for provider in [provider, cloud.connect()] {
        let seen = provider.observe(&name, &take, None).await.unwrap();
        let Observation::Failed { left, .. } = seen else {
            panic!("{seen:?}");
        };
        assert_eq!(left.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_composite_takes_all_disks_where_none_can_be_left_out() {
    for personality in [Personality::Declarative, Personality::Rest] {
        let cloud = SimCloud::new(personality);
        let Operation::Snapshot(mut take) = group(&cloud, 3) else {
            unreachable!("a snapshot")
        };
        take.parts.pop();
        let provider = cloud.connect();
        let error = submit(&provider, "take", &Operation::Snapshot(take)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    let cloud = SimCloud::new(Personality::InProcess);
    let Operation::Snapshot(mut take) = group(&cloud, 3) else {
        unreachable!("a snapshot")
    };
    take.parts.pop();
    let provider = cloud.connect();
    let seen = run(&provider, "take", &Operation::Snapshot(take)).await;
    assert_eq!(taken(seen.unwrap()).parts.len(), 2);
}
