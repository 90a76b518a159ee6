//! Disks without room, at each step of a capture and of a restore, and PostgreSQL's own: the manager
//! is as before, nothing is locked, and the report says what to do. With a real PostgreSQL 15,
//! started as in `postgres.rs`, and small file systems.

mod bed;

use std::fs;
use std::path::Path;
use std::time::Duration;

use bed::small::Small;
use bed::{Bed, Lock, Postgres, depot};
use stillpoint_core::ErrorKind;
use stillpoint_manager::{Files, RecordState, RestoreManager, SecretKey};

/// Rooms to try, in KiB: from next to nothing to more than enough.
fn rooms() -> impl Iterator<Item = u64> {
    [
        8, 64, 256, 1024, 2048, 4096, 6144, 8192, 12288, 16384, 65536,
    ]
    .into_iter()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_capture_without_room_leaves_all_as_it_was() {
    let (postgres, key) = (Postgres::start(), SecretKey::generate());
    for full in ["staging", "depot"] {
        let (small, large) = (Small::new(1 << 20), tempfile::tempdir().unwrap());
        let (staging, archives) = match full {
            "staging" => (small.path(), large.path()),
            _ => (large.path(), small.path()),
        };
        let lock = Lock::default();
        let bed = Bed::with(&postgres, full, archives, &key, |it, _| {
            it.component("lock", lock.clone())
                .depot(depot(archives), staging)
        });
        bed.live();
        let before = bed.content();
        let mut refused = 0;
        for kib in rooms() {
            small.leave(kib);
            let name = format!("{full}-{kib}");
            let ran = bed.capture(&name).await;
            assert_eq!(bed.content(), before, "{name}");
            assert_eq!(names(staging), [""; 0], "{name}");
            assert!(lock.is_free(), "{name}: it is locked");
            let record = bed.records.get(&name).await.unwrap();
            let Err(error) = ran else {
                assert_eq!(record.state, RecordState::Created, "{name}");
                break;
            };
            refused += 1;
            assert_eq!(error.kind(), ErrorKind::Quota, "{name}: {error}");
            assert!(error.to_string().contains("Free space"), "{name}: {error}");
            assert_eq!(record.state, RecordState::Failed, "{name}");
        }
        assert!(refused > 3, "{full}: {refused}");
        println!("capture: {refused} rooms in {full} were too small");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_restore_without_room_leaves_all_as_it_was() {
    let (postgres, key) = (Postgres::start(), SecretKey::generate());
    let archives = tempfile::tempdir().unwrap();
    let noise = tempfile::tempdir().unwrap();
    let wheel: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3 << 20)
        .collect();
    fs::write(noise.path().join("wheel"), wheel).unwrap();
    let source = Bed::with(&postgres, "source", archives.path(), &key, |it, _| {
        it.component("lock", Lock::default())
            .component("beside", Files::new(noise.path()))
    });
    source.live();
    source.capture("monday").await.unwrap();
    let monday = source.content();
    for full in ["staging", "files"] {
        let mut refused = 0;
        for kib in rooms() {
            let name = format!("{full}_{kib}");
            let (small, large) = (Small::new(1 << 20), tempfile::tempdir().unwrap());
            let (staging, files) = match full {
                "staging" => (small.path(), large.path()),
                _ => (large.path(), small.path()),
            };
            fs::create_dir(files.join("beside")).unwrap();
            let (inside, lock) = (files.join("beside"), Lock::default());
            let bed = Bed::with(&postgres, &name, archives.path(), &key, |it, _| {
                it.component("lock", lock.clone())
                    .component("beside", Files::new(&inside))
                    .depot(depot(archives.path()), staging)
            });
            let before = bed.content();
            small.leave(kib);
            let ran = bed.restore("monday").await;
            assert!(lock.is_free(), "{name}: it is locked");
            let Err(error) = ran else {
                assert_eq!(bed.content(), monday, "{name}");
                break;
            };
            refused += 1;
            assert_eq!(bed.content(), before, "{name}: {error}");
            assert_eq!(bed.leftovers(), [""; 0], "{name}: {error}");
            assert_eq!(names(&inside), [""; 0], "{name}: {error}");
            assert_eq!(names(files), ["beside"], "{name}: {error}");
            let said = error.to_string();
            let says = said.contains("has room for") || said.contains("Free space");
            assert!(says, "{name}: {said}");
            if full == "staging" {
                assert_eq!(names(staging), [""; 0], "{name}: {error}");
            }
        }
        assert!(refused > 3, "{full}: {refused}");
        println!("restore: {refused} rooms in {full} were too small");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL 15 and root: .ci/run has both"]
async fn a_server_without_room_has_its_database_as_it_was() {
    let small = Small::new(1 << 20);
    let (postgres, key) = (Postgres::within(small.path()), SecretKey::generate());
    let archives = tempfile::tempdir().unwrap();
    let lock = Lock::default();
    let new = |name: &str| {
        Bed::with(&postgres, name, archives.path(), &key, |it, _| {
            it.component("lock", lock.clone())
        })
    };
    let source = new("source");
    source.live();
    source.capture("monday").await.unwrap();
    let monday = source.content();
    let (mut refused, mut waited) = (0, 0);
    for kib in rooms() {
        let name = format!("target_{kib}");
        let bed = new(&name);
        let before = bed.content();
        let request = RestoreManager::of("monday").request();
        let plan = bed.engine.plan(&request).await.unwrap();
        small.leave(kib);
        let job = bed.engine.start(&plan).await.unwrap();
        let ended = loop {
            let limit = Duration::from_secs(1);
            if let Ok(ended) = tokio::time::timeout(limit, bed.engine.wait(job)).await {
                break ended.unwrap();
            }
            // Without room for its log a server ends itself, and the restore waits for it.
            if postgres.has_ended() {
                small.leave(1 << 20);
                postgres.again();
                waited += 1;
            }
        };
        small.leave(1 << 20);
        if postgres.has_ended() {
            postgres.again();
        }
        assert!(lock.is_free(), "{name}: it is locked");
        let outcome = ended.outcome.clone().unwrap();
        let Err(error) = ended.into_result() else {
            assert_eq!(bed.content(), monday, "{name}");
            break;
        };
        refused += 1;
        assert_eq!(bed.content(), before, "{name}: {outcome}");
        assert_eq!(bed.leftovers(), [""; 0], "{name}: {outcome}");
        assert!(error.advice().is_some(), "{name}: {error}");
    }
    assert!(refused > 3, "{refused}");
    println!("restore: {refused} rooms in the server were too small, {waited} of them for its log");
}

fn names(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).unwrap();
    found
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect()
}
