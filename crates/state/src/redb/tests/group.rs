use std::time::Duration;

use futures_util::future::join_all;

use crate::redb::tests::disk::Faults;
use crate::redb::tests::{batch, batches, formatted, open};
use crate::state::State;

/// How many commits share a sync is counted, not timed.
#[tokio::test]
async fn who_comes_at_once_shares_a_sync() {
    let disk = formatted();
    let (state, _folder) = open(&disk).unwrap();
    state.commit(batch(1000, 10)).await.unwrap();
    disk.set(Faults::default());
    state.commit(batch(1001, 10)).await.unwrap();
    let alone = disk.syncs();

    disk.set(Faults {
        sync_takes: Duration::from_millis(5),
        ..Faults::default()
    });
    let outcomes = join_all((0..64).map(|number| state.commit(batch(number, 10)))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let together = disk.syncs();
    println!("{alone} syncs for one commit, {together} for 64 at once");
    assert!(together <= 8 * alone, "{together} syncs");
    assert_eq!(batches(&state).await.len(), 66);
}
