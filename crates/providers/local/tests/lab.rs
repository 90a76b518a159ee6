//! On file systems that `lab/reflink-fs.sh up DIR` has mounted, with `STILLPOINT_LAB=DIR`.

mod bed;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bed::{
    Bed, MIB, create_instance, create_volume, drive, fill, instance, snapshot, take, take_volume,
    volume,
};
use rustix::fs::statvfs;
use stillpoint_core::{CopyKind, ErrorKind, ResourceKind};
use stillpoint_iaas::{Operation, Output, Provider, TakeSnapshot, content_digest};
use stillpoint_local::LocalProvider;

fn lab() -> PathBuf {
    PathBuf::from(
        std::env::var_os("STILLPOINT_LAB").expect("STILLPOINT_LAB names the lab's folder"),
    )
}

fn free(path: &Path) -> u64 {
    let space = statvfs(path).unwrap();
    space.f_bfree * space.f_frsize
}

#[tokio::test]
#[ignore = "needs root: lab/reflink-fs.sh mounts XFS and btrfs"]
async fn reflinks_share_blocks_and_a_full_copy_does_not() {
    for fs_name in ["xfs", "btrfs"] {
        let bed = Bed::new_in(&lab().join(fs_name));
        let path = bed.file("disk.raw");
        let file = fs::File::create(&path).unwrap();
        for at in 0..64 {
            file.write_all_at(&vec![at as u8 | 1; 1 << 20], at * 2 * MIB)
                .unwrap();
        }
        file.sync_all().unwrap();
        drop(file);
        let disk = volume("disk.raw");
        let provider = bed.open();
        let can = provider.capabilities().await.unwrap();
        assert_eq!(can.snapshots[&ResourceKind::Volume].copy, CopyKind::Shallow);
        let original = content_digest(provider.bytes().unwrap(), &disk, |_| ())
            .await
            .unwrap();

        let before = free(bed.path());
        let shallow = snapshot(&provider, "shallow", &disk).await;
        let spent = before - free(bed.path());
        assert_eq!(shallow.parts[0].copy, CopyKind::Shallow);
        assert!(
            spent < 16 * MIB,
            "{fs_name}: a shallow copy of 64 MiB took {spent} bytes"
        );

        let before = free(bed.path());
        let full = Operation::Snapshot(TakeSnapshot {
            copy: CopyKind::Full,
            ..take(&disk, &[&disk])
        });
        let Output::Snapshot(full) = drive(&provider, "full", &full).await.unwrap() else {
            panic!()
        };
        Command::new("sync").status().unwrap();
        let own = before - free(bed.path());
        assert_eq!(full.parts[0].copy, CopyKind::Full);
        assert!(
            own >= 64 * MIB,
            "{fs_name}: a full copy of 64 MiB took {own} bytes"
        );
        assert!(own < 72 * MIB, "{fs_name}: holes were filled: {own} bytes");

        // What happens to the volume does not happen to either.
        fill(&path, 4 * MIB, 9);
        for taken in [&shallow, &full] {
            let kept = &taken.parts[0].snapshot;
            let digest = content_digest(provider.bytes().unwrap(), kept, |_| ())
                .await
                .unwrap();
            assert_eq!(digest, original, "{fs_name}");
        }
        let to = shallow.parts[0].snapshot.clone();
        let revert = Operation::Revert {
            volume: disk.clone(),
            to,
        };
        drive(&provider, "revert", &revert).await.unwrap();
        let back = content_digest(provider.bytes().unwrap(), &disk, |_| ())
            .await
            .unwrap();
        assert_eq!(back, original, "{fs_name}");
        println!(
            "{fs_name}: shallow copy {} KiB, full copy {} MiB",
            spent / 1024,
            own / MIB
        );
    }
}

/// Maps the file, beside one whose name is no UTF-8, and closes all descriptors, those that Python
/// keeps for mappings, too.
const MAPS: &str = "
import mmap, os, sys, time
kept = []
for name in os.fsencode(sys.argv[2]) + b'/\\xff', os.fsencode(sys.argv[1]):
    with open(name, 'a+b') as file:
        file.truncate(1 << 26)
        kept.append(mmap.mmap(file.fileno(), 0))
os.closerange(3, 99)
print(flush=True)
time.sleep(60)
";

/// Has the file open in a program whose path is too long to be told.
const FAR_AWAY: &str = "
import os, shutil, sys
path = os.path.abspath(sys.argv[1])
os.chdir(sys.argv[2])
for _ in range(20):
    os.mkdir('d' * 250)
    os.chdir('d' * 250)
shutil.copy('/bin/sh', 'sh')
os.execv('./sh', ['sh', '-c', 'exec 3<>\"$0\"; echo; read wait', path])
";

/// Has the file open in a process whose first thread has ended.
const WRITES_FROM_A_THREAD: &str = "
import ctypes, os, sys, threading, time
file = open(sys.argv[1], 'r+b')
def wait():
    time.sleep(0.2)
    print(flush=True)
    time.sleep(60)
threading.Thread(target=wait).start()
ctypes.CDLL(None).pthread_exit(None)
";

#[tokio::test]
#[ignore = "needs root: lab/reflink-fs.sh mounts XFS and btrfs"]
async fn writers_are_found_on_file_systems_with_devices_of_their_own() {
    for fs_name in ["xfs", "btrfs"] {
        let bed = Bed::new_in(&lab().join(fs_name));
        let disk = bed.volume("disk.raw", 64 * MIB, 1);
        let provider = bed.open();
        let path = bed.file("disk.raw");
        let attached = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&path)
            .output()
            .unwrap();
        let device = String::from_utf8(attached.stdout)
            .unwrap()
            .trim()
            .to_owned();
        let first = bed.volume("first.raw", MIB, 1);
        drive(
            &provider,
            "pair",
            &create_instance("pair", &[&first, &disk]),
        )
        .await
        .unwrap();
        let pair = Operation::Snapshot(take(&instance("pair"), &[&first, &disk]));
        let of_two = drive(&provider, "both", &pair).await.unwrap_err();
        let error = drive(&provider, "take", &take_volume(&disk))
            .await
            .unwrap_err();
        assert!(
            Command::new("losetup")
                .args(["-d", &device])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(error.kind(), ErrorKind::Busy);
        for error in [error, of_two] {
            let said = format!("{disk}: it is open for writing in {device}");
            assert!(error.to_string().contains(&said), "{error}");
        }

        for script in [MAPS, FAR_AWAY, WRITES_FROM_A_THREAD] {
            let own = tempfile::tempdir().unwrap();
            let mut writer = Command::new("python3")
                .args(["-c", script])
                .args([&path, own.path()])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut ready = [0];
            std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut ready).unwrap();
            let error = drive(&provider, "take", &take_volume(&disk))
                .await
                .unwrap_err();
            writer.kill().unwrap();
            writer.wait().unwrap();
            let named = format!("process {}", writer.id());
            assert!(error.to_string().contains(&named), "{error}");
        }
        drive(&provider, "now", &take_volume(&disk)).await.unwrap();
    }
}

/// Fills a small file system to within each possible distance of full, so that every write that
/// an operation makes is the one that finds no room.
#[tokio::test]
#[ignore = "needs root: lab/reflink-fs.sh mounts a small tmpfs"]
async fn a_disk_that_is_really_full_is_told_and_nothing_stays() {
    const PAGE: u64 = 4096;
    let place = lab().join("small");
    let (mut refused, mut done) = (0, 0);
    for room in 0..90 {
        let bed = Bed::new_in(&place);
        let disk = volume("disk.raw");
        fs::write(bed.file("disk.raw"), vec![7; 16 * PAGE as usize]).unwrap();
        let provider = bed.open();
        let kept = snapshot(&provider, "kept", &disk).await.parts[0]
            .snapshot
            .clone();
        let ballast = place.join("ballast");
        let filling = free(&place).saturating_sub(room * PAGE);
        fs::write(&ballast, vec![1; usize::try_from(filling).unwrap()]).unwrap();
        let before = bed.inventory();
        let operations = [
            take_volume(&disk),
            create_volume("new.raw", 16 * PAGE, Some(&kept)),
            create_volume("empty.raw", PAGE, None),
            Operation::Revert {
                volume: disk.clone(),
                to: kept.clone(),
            },
            Operation::SetLabels {
                resource: disk.clone(),
                labels: [("a".to_owned(), "b".to_owned())].into(),
            },
        ];
        for (n, operation) in operations.iter().enumerate() {
            let shape: Vec<_> = bed.inventory().into_keys().collect();
            match drive(&provider, &format!("op-{n}"), operation).await {
                Ok(_) => done += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Quota, "{error}");
                    assert_eq!(
                        shape,
                        bed.inventory().into_keys().collect::<Vec<_>>(),
                        "{error}"
                    );
                    refused += 1;
                }
            }
        }
        assert_eq!(bed.inventory()["disk.raw"], before["disk.raw"]);
        // However full it is, it opens and lets things be deleted.
        drop(provider);
        let provider = bed.open();
        drive(
            &provider,
            "rid",
            &Operation::DeleteSnapshot { snapshot: kept },
        )
        .await
        .unwrap();
        fs::remove_file(&ballast).unwrap();
    }
    println!("{refused} refused for want of room, {done} done");
    assert!(refused > 50 && done > 50);
}

#[test]
#[ignore = "needs root: lab/reflink-fs.sh makes a read-only mount"]
fn a_read_only_folder_is_refused() {
    let error = LocalProvider::open("here", lab().join("readonly")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("readonly"), "{error}");
}
