//! What comes back of a tree of files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use stillpoint_manager::SecretKey;
use stillpoint_restore::Outcome;

use crate::Plain;

#[tokio::test(flavor = "multi_thread")]
async fn files_come_back_with_modes_times_links_and_holes() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let first = Plain::new(archives.path(), &key, |it| it);
    let files = first.files();
    fs::create_dir_all(files.join("deep/empty")).unwrap();
    fs::write(files.join("deep/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(files.join("deep/run"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(files.join("deep/empty"), fs::Permissions::from_mode(0o500)).unwrap();
    symlink("deep/run", files.join("run")).unwrap();
    symlink("../deep", files.join("deep/again")).unwrap();
    let sparse = fs::File::create(files.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(499_137_600, 123_456_789);
    let times = fs::FileTimes::new().set_modified(old);
    fs::File::open(files.join("deep"))
        .unwrap()
        .set_times(times)
        .unwrap();
    fs::File::open(files.join("deep/run"))
        .unwrap()
        .set_times(times)
        .unwrap();
    first.capture("one").await.unwrap();

    let second = Plain::new(archives.path(), &key, |it| it);
    let job = second.restore("one").await.unwrap();
    assert_eq!(job.outcome, Some(Outcome::Completed), "{:?}", job.error);
    let files = second.files();
    let about = |name: &str| fs::symlink_metadata(files.join(name)).unwrap();
    assert_eq!(about("deep/run").mode() & 0o7777, 0o750);
    assert_eq!(about("deep/empty").mode() & 0o7777, 0o500);
    for name in ["deep", "deep/run"] {
        let found = about(name);
        assert_eq!(
            (found.mtime(), found.mtime_nsec()),
            (499_137_600, 123_456_789),
            "{name}"
        );
    }
    assert_eq!(
        fs::read_link(files.join("run")).unwrap(),
        Path::new("deep/run")
    );
    assert_eq!(
        fs::read_link(files.join("deep/again")).unwrap(),
        Path::new("../deep")
    );
    assert_eq!(about("sparse").len(), 1 << 30);
    assert!(about("sparse").blocks() < 64, "it is no longer sparse");

    symlink("/etc/passwd", first.files().join("out")).unwrap();
    let error = first.capture("two").await.unwrap_err();
    assert!(
        error.to_string().contains("leads out of its folder"),
        "{error}"
    );
}
