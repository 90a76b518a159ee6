//! Disks without room.

use std::fs;
use std::process::Command;
use std::time::Duration;

use stillpoint::ErrorKind;

use crate::bed::{Bed, WEB};
use crate::end;

/// With this many KiB free and fewer, down to none: volumes, snapshots and state on one small
/// disk. Nothing is lost, and with room again the same job comes to its end.
#[tokio::test]
#[ignore = "needs root: mounts a tmpfs; .ci/run runs it"]
async fn a_disk_that_is_full_at_every_write() {
    let mount = Mounted(tempfile::tempdir().unwrap());
    let tmpfs = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
    assert!(
        Command::new("mount")
            .args(tmpfs)
            .arg(mount.0.path())
            .status()
            .unwrap()
            .success()
    );
    let (mut refused, mut late, mut done) = (0, 0, 0);
    for free in (0..=400).step_by(4) {
        let bed = Bed::new_in(mount.0.path()).await;
        let original = bed.volumes();
        let still = bed.start();
        let filler = mount.0.path().join("filler");
        fill_up(&filler, free << 10);
        let ask = || still.snapshot(WEB).once("full").start();
        match ask().await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Quota, "{free} KiB: {error}");
                assert!(error.advice().is_some(), "{error}");
                refused += 1;
            }
            Ok(job) => {
                match tokio::time::timeout(Duration::from_secs(3), job.clone().into_future()).await
                {
                    // It waits for room to write its journal.
                    Err(_) => late += 1,
                    Ok(Ok(_)) => done += 1,
                    Ok(Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::Quota, "{free} KiB: {error}");
                        refused += 1;
                    }
                }
            }
        }
        assert_eq!(bed.volumes(), original, "{free} KiB");
        fs::remove_file(&filler).unwrap();
        // Where the state failed as it began, the first run has ended with that; a second beside
        // the first is refused.
        tokio::spawn(still.run());
        let job = ask().await.unwrap();
        let job = tokio::time::timeout(Duration::from_secs(120), job.into_future())
            .await
            .unwrap();
        if job.is_err() {
            // The job of that key is over and failed: with room there is another.
            still.snapshot(WEB).await.unwrap();
        }
        end(still.clone()).await;
        drop(still);
        let found = bed.found().await;
        assert_eq!(found.snapshots.len(), 1, "{free} KiB");
        found.check_files(&format!("{free} KiB"));
        assert_eq!(bed.volumes(), original, "{free} KiB");
    }
    println!("full disks: {refused} refused, {late} waited for room, {done} had enough");
    assert!(refused > 5 && done > 0);
}

/// A file system of its own, which goes with it.
struct Mounted(tempfile::TempDir);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where nothing was mounted there is nothing to undo.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A file that leaves so many bytes of its file system.
fn fill_up(path: &std::path::Path, leave: u64) {
    let file = fs::File::create(path).unwrap();
    let stat = rustix::fs::fstatvfs(&file).unwrap();
    let free = stat.f_bavail * stat.f_bsize;
    let take = free.saturating_sub(leave);
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, take.max(1)).unwrap();
}
