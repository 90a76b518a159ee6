//! Volumes that somebody else writes, changes or cuts.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stillpoint_core::{ErrorKind, World};
use stillpoint_iaas::{Observation, Operation, Provider};
use stillpoint_local::failpoint;

use crate::bed::{
    self, Bed, MIB, create_instance, create_volume, drive, instance, key, snapshot, take,
    take_volume, volume,
};
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
    let writer = Writer::of(&path);
    let pid = writer.named();
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
    drop(writer);
    drive(&provider, "now", &take_volume(&disk)).await.unwrap();

    // A reader hurts nobody.
    let _reader = fs::File::open(&path).unwrap();
    drive(&provider, "and-now", &take_volume(&disk))
        .await
        .unwrap();
}

/// Who has opened it may have mapped it, and need not have written when the copy ends.
#[tokio::test]
async fn who_opens_a_volume_while_it_is_copied_is_named() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    let operation = take_volume(&disk);
    let held = failpoint::hold_copies();
    provider.submit(&key("late"), &operation).await.unwrap();
    bed.copying("late").await;
    let writer = Writer::of(&bed.file("disk.raw"));
    drop(held);
    match bed::settle(&provider, "late", &operation).await {
        Observation::Failed { error, left } => {
            assert!(left.is_empty());
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().contains(&writer.named()), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_disk_that_something_writes_is_named_with_what_writes_it() {
    let bed = Bed::new();
    let provider = bed.open();
    let disks = ["one", "idle", "two"].map(|name| bed.volume(name, MIB, 1));
    let [one, idle, two] = &disks;
    drive(&provider, "web", &create_instance("web", &[one, idle, two]))
        .await
        .unwrap();
    let writers = ["one", "two"].map(|name| Writer::of(&bed.file(name)));
    let whole = Operation::Snapshot(take(&instance("web"), &[one, idle, two]));
    let refused = provider.submit(&key("all"), &whole).await.unwrap_err();
    let all = refused.to_string();
    for (disk, writer) in [one, two].into_iter().zip(&writers) {
        let said = format!("{disk}: it is open for writing in {}", writer.named());
        assert_eq!(all.matches(&said).count(), 1, "{all}");
    }
    assert!(!all.contains(idle.id()), "{all}");
}

/// A process that has a file open to append to it, and does nothing.
struct Writer(Child);

impl Writer {
    fn of(path: &Path) -> Self {
        let mut writer = Command::new("sh")
            .args(["-c", "exec 3>>\"$0\"; echo; read wait"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        writer
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        Self(writer)
    }

    fn named(&self) -> String {
        format!("process {} (sh)", self.0.id())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Unwinding perhaps: a second panic would hide the first.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
