//! Disks without room, at each place where something is written.

use std::fs;
use std::path::Path;

use stillpoint_core::ErrorKind;
use stillpoint_manager::depot::Depot;
use stillpoint_manager::{Files, RecordState, SecretKey};

use crate::Plain;
use crate::small::Small;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts small file systems, and so needs root: .ci/run is"]
async fn a_full_disk_leaves_all_as_it_was() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    let names = |folder: &Path| {
        let found = fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        found
            .map(|it| it.into_string().unwrap())
            .collect::<Vec<_>>()
    };

    let good = Plain::new(archives.path(), &key, |it| it);
    fs::write(good.files().join("noise"), &noise).unwrap();
    good.capture("one").await.unwrap();

    // No room for what is captured.
    let small = Small::new(2048);
    let bed = Plain::new(archives.path(), &key, |it| {
        it.depot(
            Depot::folder(archives.path(), "archives").unwrap(),
            small.path(),
        )
    });
    fs::write(bed.files().join("noise"), &noise).unwrap();
    let error = bed.capture("two").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
    assert_eq!(names(small.path()), [""; 0]);
    let record = bed.archives.records().get("two").await.unwrap();
    assert_eq!(record.state, RecordState::Failed);
    // Nor for what is fetched: that is known before.
    let error = bed.restore("one").await.unwrap_err();
    assert!(error.to_string().contains("has room for"), "{error}");

    // No room beside what is there.
    let small = Small::new(2048);
    let target = Plain::new(archives.path(), &key, |it| {
        fs::create_dir(small.path().join("files")).unwrap();
        it.component("small", Files::new(small.path().join("files")))
    });
    fs::write(small.path().join("files/there"), "as it was").unwrap();
    let source = Plain::new(archives.path(), &key, |it| {
        let folder = tempfile::tempdir().unwrap().keep();
        fs::write(folder.join("noise"), &noise).unwrap();
        it.component("small", Files::new(folder))
    });
    source.capture("three").await.unwrap();
    let job = target.restore("three").await.unwrap();
    let error = job.into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
    assert_eq!(names(small.path()), ["files"]);
    assert_eq!(names(&small.path().join("files")), ["there"]);
}
