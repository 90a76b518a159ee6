//! What becomes of running work when its client is killed.

use std::time::Duration;

use stillpoint_core::ErrorKind;
use stillpoint_iaas::sim::{Personality, SimCloud};
use stillpoint_iaas::{Observation, Operation, Provider};
use tokio::time::timeout;

use crate::ask::{MIB, key, new_volume, run, snapshot, submit};

#[tokio::test(start_paused = true)]
async fn what_runs_when_the_client_is_killed_ends_as_its_kind_of_system_lets_it() {
    for personality in Personality::ALL {
        let cloud = SimCloud::new(personality);
        let volume = cloud.add_volume("data", MIB);
        let before = cloud.inventory();
        let take = Operation::Snapshot(snapshot(&volume, &[&volume]));
        let provider = cloud.connect();
        // As long as a process runs, its caller waits: cut it off.
        let cut = Duration::from_millis(170);
        let _ = timeout(cut, submit(&provider, "take", &take)).await;

        let provider = cloud.restart();
        cloud.settle().await;
        let seen = provider.observe(&key("take"), &take, None).await.unwrap();
        let new = before.diff(&cloud.inventory()).len();
        match (personality, &seen) {
            (Personality::Declarative | Personality::Rest, Observation::Done { .. }) => {
                assert_eq!(new, 1, "{personality}");
            }
            (Personality::Files, Observation::Absent) => assert_eq!(new, 0),
            (Personality::InProcess, Observation::Failed { left, .. }) => {
                assert_eq!((new, left.len()), (1, 1));
                let snapshot = left[0].clone();
                let delete = Operation::DeleteSnapshot { snapshot };
                run(&provider, "tidy", &delete).await.unwrap();
                assert_eq!(before, cloud.inventory());
                // Once it is out of the way, the same key works.
                let again = run(&provider, "take", &take).await.unwrap();
                assert!(matches!(again, Observation::Done { .. }), "{again:?}");
            }
            (Personality::Process, Observation::Unknown { settles_at, .. }) => {
                assert_eq!((new, *settles_at), (1, None));
            }
            _ => panic!("{personality} ends as {seen:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_dies_with_its_host_has_not_happened() {
    let cloud = SimCloud::new(Personality::InProcess);
    let volume = cloud.add_volume("data", MIB);
    let taken = cloud.add_snapshot("old", &volume);
    let before = cloud.inventory();
    let provider = cloud.connect();
    let delete = Operation::DeleteSnapshot { snapshot: taken };
    submit(&provider, "delete", &delete).await.unwrap();
    assert_ne!(before, cloud.inventory());

    let provider = cloud.restart();
    let seen = provider.observe(&key("delete"), &delete, None).await;
    assert!(matches!(seen, Ok(Observation::Absent)), "{seen:?}");
    assert_eq!(before, cloud.inventory());
}

#[tokio::test(start_paused = true)]
async fn a_client_dies_with_its_last_clone_or_when_all_are_killed() {
    let cloud = SimCloud::new(Personality::Files);
    let provider = cloud.connect();
    let make = new_volume(MIB, None);
    submit(&provider, "make", &make).await.unwrap();
    let clone = provider.clone();
    drop(provider);
    let seen = clone.observe(&key("make"), &make, None).await.unwrap();
    assert!(matches!(seen, Observation::Running { .. }), "{seen:?}");
    drop(clone);
    cloud.settle().await;
    assert_eq!(cloud.inventory().ours().count(), 0);

    let dead = cloud.connect();
    cloud.crash();
    let error = submit(&dead, "late", &make).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(cloud.inventory().items.is_empty());
}
