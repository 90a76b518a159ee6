use stillpoint_core::{ErrorKind, World};

use crate::redb::tests::disk::{Disk, Faults};
use crate::redb::tests::{batch, batches, formatted, open};
use crate::state::State;

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_pretended() {
    let disk = formatted();
    let (state, _folder) = open(&disk).unwrap();
    state.commit(batch(1, 100)).await.unwrap();
    disk.set(Faults {
        sync_fails: true,
        ..Faults::default()
    });
    let failed = state.commit(batch(2, 100)).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed:?}");
    assert_eq!(failed.world(), World::Unknown);
    assert!(failed.to_string().contains("Check the disk"), "{failed}");

    // The disk works again, but what it holds is not what the system shows.
    for _ in 0..2 {
        let refused = state.commit(batch(3, 100)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    }
    assert!(state.get("batch/000001/0").await.is_err());
    drop(state);

    let medium = disk.after_power_loss(&mut fastrand::Rng::with_seed(0));
    let (state, _folder) = open(&Disk::holding(medium)).unwrap();
    assert_eq!(batches(&state).await, [1]);
}
