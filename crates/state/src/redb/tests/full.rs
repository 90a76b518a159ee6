use stillpoint_core::{ErrorKind, World};

use crate::redb::tests::disk::Faults;
use crate::redb::tests::{batch, batches, formatted, open};
use crate::state::State;

#[tokio::test]
async fn a_full_disk_is_told_and_the_state_goes_on_once_there_is_room() {
    let disk = formatted();
    let (state, _folder) = open(&disk).unwrap();
    let mut there = Vec::new();
    disk.set(Faults {
        room: Some(disk.len_now() + 100_000),
        ..Faults::default()
    });
    let refused = loop {
        let number = there.len() as u64;
        match state.commit(batch(number, 10_000)).await {
            Ok(_) => there.push(number),
            Err(error) => break error,
        }
        assert!(there.len() < 1000, "the disk is never full");
    };
    assert_eq!(refused.kind(), ErrorKind::Quota, "{refused:?}");
    assert_eq!(refused.world(), World::Untouched);
    assert!(refused.to_string().contains("Make room"), "{refused}");
    assert!(there.len() > 2, "{there:?}");
    assert_eq!(batches(&state).await, there);

    // Still full: refused again, and readable all the time.
    let again = state.commit(batch(500, 300_000)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Quota, "{again:?}");
    assert_eq!(batches(&state).await, there);

    disk.set(Faults::default());
    state.commit(batch(900, 10_000)).await.unwrap();
    there.push(900);
    assert_eq!(batches(&state).await, there);
    drop(state);
    let (state, _folder) = open(&disk).unwrap();
    assert_eq!(batches(&state).await, there);
}

/// So full that it cannot even be opened again, for a while.
#[tokio::test]
async fn who_only_reads_finds_it_well_again_too() {
    let disk = formatted();
    let (state, _folder) = open(&disk).unwrap();
    state.commit(batch(1, 10_000)).await.unwrap();
    disk.set(Faults {
        room: Some(0),
        ..Faults::default()
    });
    let refused = state.commit(batch(2, 10_000)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Quota, "{refused:?}");
    let unread = state.get("batch/000001/0").await.unwrap_err();
    assert_eq!(unread.kind(), ErrorKind::Quota, "{unread:?}");
    disk.set(Faults::default());
    assert!(state.get("batch/000001/0").await.unwrap().is_some());
    assert_eq!(batches(&state).await, [1]);
}

#[tokio::test]
async fn no_room_at_any_one_write_loses_nothing() {
    let disk = formatted();
    let (state, _folder) = open(&disk).unwrap();
    let mut there = Vec::new();
    let (mut failed, mut at, mut number) = (0, 0, 0);
    loop {
        at += 1;
        disk.set(Faults {
            no_room_at: Some(at),
            ..Faults::default()
        });
        number += 1;
        match state.commit(batch(number, 3_000)).await {
            // It had no write of that number any more.
            Ok(_) => {
                there.push(number);
                break;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Quota, "{error:?}");
                assert_eq!(error.world(), World::Untouched, "write {at}: {error:?}");
                failed += 1;
            }
        }
        assert_eq!(
            batches(&state).await,
            there,
            "after write {at} found no room"
        );
        number += 1;
        state.commit(batch(number, 3_000)).await.unwrap();
        there.push(number);
    }
    println!("{failed} writes of a commit failed, one at a time");
    assert!(failed > 3);
    assert_eq!(batches(&state).await, there);
}
