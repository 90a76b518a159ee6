//! Looking at what another process did, without being able to change it.
#![cfg(all(feature = "local", feature = "redb"))]

use std::time::Duration;

use stillpoint::catalogue::Query;
use stillpoint::{ErrorKind, JobQuery, Stillpoint};

#[tokio::test]
async fn a_read_only_open_sees_all_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".state.redb");
    std::fs::write(folder.path().join("disk.img"), [7; 4096]).unwrap();
    let taken = {
        let still = Stillpoint::builder()
            .folder("here", folder.path())
            .state_file(&state)
            .build()
            .unwrap();
        let driving = tokio::spawn(still.run());
        let taken = still
            .snapshot("here/volume/disk.img")
            .named("first")
            .await
            .unwrap();
        still.shutdown(Duration::from_secs(5)).await;
        driving.await.unwrap().unwrap();
        taken
    };

    let looking = Stillpoint::builder()
        .folder("here", folder.path())
        .state_file(&state)
        .read_only()
        .build()
        .unwrap();
    let page = looking.snapshots(&Query::default()).await.unwrap();
    assert_eq!(page.rows[0].snapshot, taken);
    let query = JobQuery {
        resource: Some(taken.source.clone()),
        ..JobQuery::default()
    };
    let jobs = looking.jobs(&query).await.unwrap();
    assert_eq!(jobs[0].snapshot, Some(taken.id));
    assert_eq!(looking.job(jobs[0].id).status().await.unwrap(), jobs[0]);
    assert!(
        looking
            .job(jobs[0].id)
            .tree()
            .await
            .unwrap()
            .contains("snapshot/0")
    );

    let refused = looking.delete(taken.id).start().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Permission);
    assert_eq!(
        looking.run().await.unwrap_err().kind(),
        ErrorKind::Permission
    );
    looking.by("anna").pin(taken.id, "audit").await.unwrap_err();
}

#[tokio::test]
async fn a_missing_state_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".state.redb");
    let refused = Stillpoint::builder()
        .state_file(&state)
        .read_only()
        .build()
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(!state.exists());
    let refused = Stillpoint::builder().build().unwrap_err();
    assert!(
        refused.to_string().contains("Give the builder a state"),
        "{refused}"
    );
}
