//! Where archives stand.

use std::fs;
use std::time::Duration;

use stillpoint_core::ErrorKind;
use stillpoint_manager::{Record, RecordState, SecretKey};
use stillpoint_restore::Outcome;

use crate::Plain;

#[tokio::test(flavor = "multi_thread")]
async fn records_say_where_an_archive_stands() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let bed = Plain::new(archives.path(), &key, |it| it);
    bed.capture("one").await.unwrap();
    let records = bed.archives.records();
    let way = bed.folder.path().join("way.zip");
    bed.archives.download("one", &way).await.unwrap();

    // An id is never given to other content.
    let taken = bed.archives.upload("one", &way, "me").await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let other = tempfile::tempdir().unwrap();
    let second = Plain::new(other.path(), &key, |it| it);
    let uploaded = second.archives.upload("two", &way, "me").await.unwrap();
    assert_eq!(uploaded.state, RecordState::Uploaded);
    let job = second.restore("two").await.unwrap();
    assert_eq!(job.outcome, Some(Outcome::Completed), "{:?}", job.error);

    // One whose maker is gone is found.
    let now = bed.engine.now();
    let lost = Record::new(
        "lost",
        RecordState::Creating,
        "gone",
        now - Duration::from_secs(3600),
    );
    records.begin(lost).await.unwrap();
    let busy = Record::new("busy", RecordState::Uploading, "here", now);
    records.begin(busy).await.unwrap();
    assert_eq!(records.sweep(now).await.unwrap(), ["lost"]);
    assert_eq!(
        records.get("lost").await.unwrap().state,
        RecordState::Failed
    );
    for id in ["lost", "busy"] {
        let path = bed.folder.path().join(id);
        let error = bed.archives.download(id, &path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
        let error = bed.restore(id).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Precondition),
            "{error}"
        );
    }
    assert_eq!(
        bed.archives.delete("busy").await.unwrap_err().kind(),
        ErrorKind::Busy
    );

    // No way leads back.
    let error = records
        .advance("one", RecordState::Creating, |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");

    // What is damaged is said to be, and stays so.
    let path = archives.path().join("archives/one/archive.zip");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = bed
        .archives
        .download("one", &bed.folder.path().join("again"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(
        records.get("one").await.unwrap().state,
        RecordState::Corrupt
    );
    bed.archives.delete("one").await.unwrap();
    assert_eq!(
        records.get("one").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
