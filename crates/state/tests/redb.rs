//! What one file and one process promise, beyond the four verbs.

use std::fs;
use std::sync::Arc;

use futures_util::{FutureExt, TryStreamExt};
use stillpoint_core::{ErrorKind, World};
use stillpoint_state::{Batch, Guard, Redb, Revision, State, StateExt};
use tempfile::TempDir;

fn created() -> (TempDir, Redb) {
    let folder = tempfile::tempdir().unwrap();
    let state = Redb::create(folder.path().join("state.redb")).unwrap();
    (folder, state)
}

async fn put(state: &dyn State, key: &str, value: &str) -> Revision {
    let mut batch = Batch::new();
    batch.put(key, Guard::Any, value.to_owned());
    state.commit(batch).await.unwrap().revision
}

#[tokio::test]
async fn one_handle_has_it_and_a_note_says_who() {
    let (folder, state) = created();
    let note = folder.path().join("state.redb.owner");
    let pid = std::process::id();
    assert_eq!(fs::read_to_string(&note).unwrap(), format!("pid {pid}\n"));
    for refused in [
        Redb::open(state.path()),
        Redb::open_or_create(state.path()),
        Redb::open_read_only(state.path()),
    ] {
        let busy = refused.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(
            busy.to_string()
                .contains(&format!("this process (pid {pid})")),
            "{busy}"
        );
    }
    assert_eq!(
        Redb::create(state.path()).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let path = state.path().to_owned();
    drop(state);
    assert!(!note.exists());
    Redb::open(path).unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "something is left beside the file");
}

#[tokio::test]
async fn many_read_and_none_writes_meanwhile() {
    let (folder, state) = created();
    let path = folder.path().join("state.redb");
    let revision = put(&state, "a", "1").await;
    drop(state);
    let before = fs::read(&path).unwrap();

    let (one, two) = (
        Redb::open_read_only(&path).unwrap(),
        Redb::open_read_only(&path).unwrap(),
    );
    for state in [&one, &two] {
        assert_eq!(state.get("a").await.unwrap().unwrap().value, "1");
        assert_eq!(state.scan("", "").await.unwrap().revision(), revision);
        let mut batch = Batch::new();
        batch.put("a", Guard::Any, "2");
        let refused = state.commit(batch).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.world()),
            (ErrorKind::Permission, World::Untouched)
        );
        state.changed("", Revision::ZERO).await.unwrap();
        let never = state.changed("", revision).await.unwrap_err();
        assert_eq!(never.kind(), ErrorKind::Unavailable);
    }
    let busy = Redb::open(&path).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(busy.to_string().contains("which reads it"), "{busy}");
    drop((one, two));
    assert!(
        fs::read(&path).unwrap() == before,
        "reading changed the file"
    );
    Redb::open(&path).unwrap();
}

#[tokio::test]
async fn a_file_left_by_a_crash_is_read_without_repairing_it() {
    let (folder, state) = created();
    put(&state, "a", "1").await;
    let copy = folder.path().join("copy.redb");
    fs::copy(state.path(), &copy).unwrap();
    let crashed = fs::read(&copy).unwrap();
    let reader = Redb::open_read_only(&copy).unwrap();
    assert_eq!(reader.get("a").await.unwrap().unwrap().value, "1");
    drop(reader);
    assert!(
        fs::read(&copy).unwrap() == crashed,
        "reading changed the file"
    );
}

#[tokio::test]
async fn a_scan_begun_before_closing_ends_with_an_error() {
    let (folder, state) = created();
    for batch in 0..20 {
        let mut writes = Batch::new();
        for key in 0..60 {
            writes.put(format!("{batch:02}/{key}"), Guard::Any, "1");
        }
        state.commit(writes).await.unwrap();
    }
    let mut scan = state.scan_prefix("").await.unwrap();
    assert!(scan.try_next().await.unwrap().is_some());
    drop(state);
    let again = Redb::open(folder.path().join("state.redb")).unwrap();
    put(&again, "later", "1").await;
    let read = scan.try_collect::<Vec<_>>().await;
    let closed = read.map(|entries| entries.len()).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable, "{closed}");
}

/// Reads go on in the background when nobody waits for them any more.
#[tokio::test]
async fn whoever_opens_it_next_finds_it_closed() {
    let (folder, mut state) = created();
    let path = folder.path().join("state.redb");
    for round in 0..50 {
        put(&state, &format!("{round:02}"), "1").await;
        for _ in 0..8 {
            let _ = state.get("00").now_or_never();
        }
        drop(state);
        state = loop {
            match Redb::open(&path) {
                Ok(state) => break state,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
            }
        };
        let entries = state.scan("", "").await.unwrap().collect().await.unwrap();
        assert_eq!(entries.len(), round + 1);
    }
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_whole_or_not_there() {
    let (folder, state) = created();
    let path = folder.path().join("state.redb");
    let state = Arc::new(state);
    for number in 0..20 {
        let mut batch = Batch::new();
        batch.put(format!("{number:02}/a"), Guard::Any, "1");
        batch.put(format!("{number:02}/b"), Guard::Any, "1");
        let commit = tokio::spawn({
            let state = Arc::clone(&state);
            async move { state.commit(batch).await }
        });
        tokio::task::yield_now().await;
        commit.abort();
        let _ = commit.await;
    }
    drop(Arc::into_inner(state).unwrap());
    let state = Redb::open(path).unwrap();
    let keys = state.scan("", "").await.unwrap().collect().await.unwrap();
    assert!(
        keys.chunks(2)
            .all(|pair| pair.len() == 2 && pair[0].key[..2] == pair[1].key[..2])
    );
}

/// The real thing beside the disk in memory that the unit tests fill.
#[tokio::test]
#[ignore = "needs root: mounts a tmpfs; .ci/run runs it"]
async fn a_full_file_system_is_told_and_the_state_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(status.unwrap().success(), "mount -o {options}");
    };
    mount("size=4m");
    let unmount = Unmount(folder.path().to_owned());
    let path = folder.path().join("state.redb");
    let state = Redb::create(&path).unwrap();
    let large = "x".repeat(200_000);
    let mut there = 0;
    let full = loop {
        let mut batch = Batch::new();
        batch.put(format!("large/{there}"), Guard::Any, large.clone());
        match state.commit(batch).await {
            Ok(_) => there += 1,
            Err(error) => break error,
        }
        assert!(there < 100, "it is never full");
    };
    println!("full after {there} commits: {full}");
    assert_eq!(
        (full.kind(), full.world()),
        (ErrorKind::Quota, World::Untouched),
        "{full:?}"
    );
    let count = || async {
        let entries = state
            .scan_prefix("large/")
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        entries.len()
    };
    assert_eq!(count().await, there);
    mount("remount,size=16m");
    put(&state, "large/more", &large).await;
    assert_eq!(count().await, there + 1);
    drop(state);
    let state = Redb::open(&path).unwrap();
    assert_eq!(
        state.get("large/more").await.unwrap().unwrap().value.len(),
        large.len()
    );
    drop(state);
    drop(unmount);
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}
