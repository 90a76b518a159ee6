//! What one file and one process promise, beyond the four verbs.

use stillpoint_core::ErrorKind;
use stillpoint_state::{Batch, Guard, Redb, State};

#[tokio::test]
async fn what_was_committed_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let state = Redb::create(&path).unwrap();
    let mut batch = Batch::new();
    batch.put("a", Guard::Absent, "1");
    let committed = state.commit(batch).await.unwrap();
    drop(state);

    let state = Redb::open(&path).unwrap();
    let entry = state.get("a").await.unwrap().unwrap();
    assert_eq!(
        (entry.value.as_ref(), entry.version),
        (&b"1"[..], committed.revision)
    );
    let busy = Redb::open(&path).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    println!("{busy}");
}
