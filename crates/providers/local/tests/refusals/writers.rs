//! Volumes that somebody else writes, changes or cuts.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use stillpoint_core::{ErrorKind, World};
use stillpoint_iaas::{Observation, Operation, Provider};
use stillpoint_local::failpoint;

use crate::bed::{self, Bed, MIB, create_volume, drive, key, snapshot, take_volume, volume};
use crate::refused;

#[tokio::test]
async fn a_volume_that_something_writes_is_refused_and_who_does_is_named() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    let kept = snapshot(&provider, "kept", &disk).await.parts[0]
        .snapshot
        .clone();
    let path = bed.file("disk.raw");
    let mut writer = Command::new("sh")
        .args([
            "-c",
            "exec 3>>\"$0\"; echo; read wait",
            path.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = format!("process {}", writer.id());
    let revert = Operation::Revert {
        volume: disk.clone(),
        to: kept,
    };
    let delete = Operation::DeleteVolume {
        volume: disk.clone(),
    };
    for operation in [take_volume(&disk), revert, delete] {
        refused(&bed, &provider, &operation, ErrorKind::Busy, &pid).await;
    }
    let written = provider
        .bytes()
        .unwrap()
        .write(&disk, 0, "x".into())
        .await
        .unwrap_err();
    assert_eq!(written.kind(), ErrorKind::Busy);
    writer.kill().unwrap();
    writer.wait().unwrap();
    drive(&provider, "now", &take_volume(&disk)).await.unwrap();

    // A reader hurts nobody.
    let _reader = fs::File::open(&path).unwrap();
    drive(&provider, "and-now", &take_volume(&disk))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_volume_that_changes_while_it_is_copied_gives_no_snapshot() {
    let bed = Bed::new();
    let disk = volume("disk.raw");
    bed.volume("disk.raw", 4 * MIB, 7);
    let provider = bed.open();
    let append = || {
        let mut file = OpenOptions::new()
            .append(true)
            .open(bed.file("disk.raw"))
            .unwrap();
        file.write_all(b"more").unwrap();
    };
    let overwrite = || {
        let file = OpenOptions::new()
            .write(true)
            .open(bed.file("disk.raw"))
            .unwrap();
        file.write_all_at(b"other", 0).unwrap();
    };
    let replace = || {
        fs::copy(bed.file("disk.raw"), bed.file(".new")).unwrap();
        fs::rename(bed.file(".new"), bed.file("disk.raw")).unwrap();
    };
    let cut = || {
        let file = OpenOptions::new()
            .write(true)
            .open(bed.file("disk.raw"))
            .unwrap();
        file.set_len(5).unwrap();
    };
    let changes: [(&str, &dyn Fn()); 4] = [
        ("append", &append),
        ("overwrite", &overwrite),
        ("replace", &replace),
        ("cut", &cut),
    ];
    for (name, change) in changes {
        let operation = take_volume(&disk);
        let held = failpoint::hold_copies();
        provider.submit(&key(name), &operation).await.unwrap();
        bed.copying(name).await;
        change();
        drop(held);
        match bed::settle(&provider, name, &operation).await {
            Observation::Failed { error, left } => {
                assert!(left.is_empty());
                assert!(error.to_string().contains("while it was copied"), "{error}");
                assert_eq!(error.world(), World::RolledBack);
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(
            fs::read_dir(bed.file(".stillpoint/snapshots"))
                .unwrap()
                .count(),
            0
        );
        assert_eq!(
            fs::read_dir(bed.file(".stillpoint/staged"))
                .unwrap()
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn a_volume_that_was_cut_is_not_taken_and_can_be_reverted() {
    let bed = Bed::new();
    let provider = bed.open();
    drive(&provider, "make", &create_volume("disk.raw", 2 * MIB, None))
        .await
        .unwrap();
    let disk = volume("disk.raw");
    let kept = snapshot(&provider, "kept", &disk).await.parts[0]
        .snapshot
        .clone();
    OpenOptions::new()
        .write(true)
        .open(bed.file("disk.raw"))
        .unwrap()
        .set_len(MIB)
        .unwrap();
    refused(
        &bed,
        &provider,
        &take_volume(&disk),
        ErrorKind::Corrupt,
        "was cut",
    )
    .await;
    drive(
        &provider,
        "back",
        &Operation::Revert {
            volume: disk.clone(),
            to: kept,
        },
    )
    .await
    .unwrap();
    assert_eq!(fs::metadata(bed.file("disk.raw")).unwrap().len(), 2 * MIB);
    drive(&provider, "again", &take_volume(&disk))
        .await
        .unwrap();
}
