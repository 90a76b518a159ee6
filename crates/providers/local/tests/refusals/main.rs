//! Bad input gets a typed error that names what, where and what to do, before anything changes.

#[path = "../bed/mod.rs"]
mod bed;
mod writers;

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use bed::{
    Bed, MIB, create_instance, create_volume, drive, instance, snapshot, take, take_volume, volume,
};
use stillpoint_core::{Error, ErrorKind, Memory, ResourceRef, World};
use stillpoint_iaas::{Operation, OperationKind, Provider};
use stillpoint_local::LocalProvider;

/// Refused with this kind, these words and nothing changed, neither in the folder nor as told.
async fn refused(
    bed: &Bed,
    provider: &LocalProvider,
    operation: &Operation,
    kind: ErrorKind,
    says: &str,
) -> Error {
    let before = bed.inventory();
    let error = drive(provider, "refused", operation).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(error.advice().is_some(), "{error}");
    assert!(
        matches!(error.world(), World::RolledBack | World::Untouched),
        "{error}"
    );
    assert_eq!(bed.inventory(), before, "{error}");
    error
}

#[tokio::test]
async fn what_is_not_a_file_of_the_folder_is_no_volume() {
    let bed = Bed::new();
    let outside = Bed::new();
    outside.volume("secret", MIB, 1);
    symlink(outside.file("secret"), bed.file("link")).unwrap();
    symlink("nowhere", bed.file("dangling")).unwrap();
    fs::create_dir(bed.file("folder")).unwrap();
    let pipe = Command::new("mkfifo")
        .arg(bed.file("pipe"))
        .status()
        .unwrap();
    assert!(pipe.success());
    let provider = bed.open();
    for (id, kind, says) in [
        ("missing.raw", ErrorKind::NotFound, "missing.raw"),
        ("link", ErrorKind::Invalid, "symbolic link"),
        ("dangling", ErrorKind::Invalid, "symbolic link"),
        ("folder", ErrorKind::Invalid, "a folder"),
        ("pipe", ErrorKind::Invalid, "a pipe"),
        ("../secret", ErrorKind::Invalid, "not the name of a file"),
        ("..", ErrorKind::Invalid, "not the name of a file"),
        (".stillpoint", ErrorKind::Invalid, "not the name of a file"),
        (
            ".stillpoint/lock",
            ErrorKind::Invalid,
            "not the name of a file",
        ),
    ] {
        let before = fs::read_dir(bed.file(".stillpoint/snapshots"))
            .unwrap()
            .count();
        let error = drive(&provider, "t", &take_volume(&volume(id)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(
            fs::read_dir(bed.file(".stillpoint/snapshots"))
                .unwrap()
                .count(),
            before
        );
        assert!(provider.describe(&volume(id)).await.is_err());
        assert!(
            provider
                .bytes()
                .unwrap()
                .read(&volume(id), 0, 1)
                .await
                .is_err()
        );
    }
    assert_eq!(provider.list(&Default::default()).count_all().await, 0);
}

trait CountAll {
    async fn count_all(self) -> usize;
}

impl CountAll
    for stillpoint_iaas::BoxStream<'_, stillpoint_core::Result<stillpoint_core::Resource>>
{
    async fn count_all(self) -> usize {
        futures_util::StreamExt::count(self).await
    }
}

#[tokio::test]
async fn all_reasons_are_told_at_once() {
    let bed = Bed::new();
    let (one, two, three) = (
        bed.volume("1", MIB, 1),
        bed.volume("2", MIB, 2),
        bed.volume("3", MIB, 3),
    );
    let provider = bed.open();
    drive(
        &provider,
        "web",
        &create_instance("web", &[&one, &two, &three]),
    )
    .await
    .unwrap();
    fs::remove_file(bed.file("1")).unwrap();
    let _writer = OpenOptions::new().write(true).open(bed.file("3")).unwrap();
    let whole = Operation::Snapshot(take(&instance("web"), &[&one, &two, &three]));
    let error = refused(
        &bed,
        &provider,
        &whole,
        ErrorKind::NotFound,
        "here/volume/1",
    )
    .await;
    assert!(
        error
            .reasons()
            .iter()
            .any(|reason| reason.contains("here/volume/3: it is open")),
        "{error}"
    );
}

#[tokio::test]
async fn what_files_cannot_do_is_unsupported_before_anything_changes() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    drive(&provider, "web", &create_instance("web", &[&disk]))
        .await
        .unwrap();
    let with_memory = Operation::Snapshot(stillpoint_iaas::TakeSnapshot {
        memory: Memory::Resumable,
        ..take(&instance("web"), &[&disk])
    });
    let quiesced = Operation::Snapshot(stillpoint_iaas::TakeSnapshot {
        quiesce: Some(Duration::from_secs(1)),
        ..take(&instance("web"), &[&disk])
    });
    let web = instance("web");
    let can = provider.capabilities().await.unwrap();
    for kind in [
        OperationKind::Freeze,
        OperationKind::Thaw,
        OperationKind::PowerOff,
        OperationKind::PowerOn,
    ] {
        assert!(!can.can(kind));
    }
    for operation in [
        Operation::PowerOff {
            instance: web.clone(),
        },
        Operation::PowerOn {
            instance: web.clone(),
        },
        Operation::Freeze {
            instance: web.clone(),
            at_most: Duration::from_secs(1),
        },
        Operation::Thaw {
            instance: web.clone(),
        },
        with_memory,
        quiesced,
    ] {
        refused(&bed, &provider, &operation, ErrorKind::Unsupported, "").await;
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let bed = Bed::new();
    let (disk, other) = (
        bed.volume("disk.raw", 2 * MIB, 1),
        bed.volume("other.raw", MIB, 2),
    );
    let provider = bed.open();
    let kept = snapshot(&provider, "kept", &disk).await.parts[0]
        .snapshot
        .clone();
    drive(&provider, "web", &create_instance("web", &[&disk]))
        .await
        .unwrap();
    let elsewhere: ResourceRef = "there/volume/disk.raw".parse().unwrap();
    let cases = [
        (
            take_volume(&elsewhere),
            ErrorKind::Invalid,
            "not of the provider `here`",
        ),
        (
            take_volume(&instance("web")),
            ErrorKind::Precondition,
            "not a disk of it",
        ),
        (
            Operation::Snapshot(take(&disk, &[])),
            ErrorKind::Invalid,
            "no volume",
        ),
        (
            Operation::Snapshot(take(&disk, &[&other])),
            ErrorKind::Invalid,
            "only part",
        ),
        (
            Operation::Snapshot(take(&instance("web"), &[&other])),
            ErrorKind::Precondition,
            "not a disk",
        ),
        (
            Operation::Snapshot(take(&instance("db"), &[&disk])),
            ErrorKind::NotFound,
            "here/instance/db",
        ),
        (
            create_volume("small.raw", MIB, Some(&kept)),
            ErrorKind::Invalid,
            "at least 2097152",
        ),
        (
            create_volume("v", MIB, Some(&disk)),
            ErrorKind::Invalid,
            "snapshot expected",
        ),
        (
            Operation::Revert {
                volume: other.clone(),
                to: kept.clone(),
            },
            ErrorKind::Invalid,
            "not a snapshot of it",
        ),
        (
            Operation::DeleteVolume {
                volume: disk.clone(),
            },
            ErrorKind::Precondition,
            "attached to web",
        ),
        (
            create_instance("twice", &[&other, &other]),
            ErrorKind::Invalid,
            "named twice",
        ),
        (
            create_instance("stolen", &[&disk]),
            ErrorKind::Precondition,
            "attached to web",
        ),
        (
            Operation::Attach {
                instance: instance("web"),
                volume: other.clone(),
                disk: "disk-0".into(),
            },
            ErrorKind::Conflict,
            "has a disk `disk-0`",
        ),
        (
            Operation::DeleteVolume { volume: kept },
            ErrorKind::Invalid,
            "volume expected",
        ),
    ];
    for (operation, kind, says) in cases {
        refused(&bed, &provider, &operation, kind, says).await;
    }
}

#[tokio::test]
async fn a_folder_has_one_process_and_the_other_is_told_which() {
    let bed = Bed::new();
    let provider = bed.open();
    let error = LocalProvider::open("again", bed.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let us = format!("process {} (", std::process::id());
    assert!(error.to_string().contains(&us), "{error}");
    drop(provider);
    bed.open();
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    let bed = Bed::new();
    let missing = LocalProvider::open("here", bed.file("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    bed.volume("file", MIB, 1);
    let file = LocalProvider::open("here", bed.file("file")).unwrap_err();
    assert_eq!(file.kind(), ErrorKind::Invalid);
    let name = LocalProvider::open("Here!", bed.path()).unwrap_err();
    assert_eq!(name.kind(), ErrorKind::Invalid);
    let elsewhere = Bed::new();
    symlink(elsewhere.path(), bed.file(".stillpoint")).unwrap();
    assert!(LocalProvider::open("here", bed.path()).is_err());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_revert_keeps_who_may_use_the_volume() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    fs::set_permissions(bed.file("disk.raw"), Permissions::from_mode(0o640)).unwrap();
    let provider = bed.open();
    let kept = snapshot(&provider, "kept", &disk).await.parts[0]
        .snapshot
        .clone();
    drive(
        &provider,
        "back",
        &Operation::Revert {
            volume: disk,
            to: kept,
        },
    )
    .await
    .unwrap();
    let mode = fs::metadata(bed.file("disk.raw"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}
