//! Volumes that are written are taken under a freeze, and every freeze ends.

mod bed;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use bed::{Bed, MIB, create_instance, drive, instance, key, settle, take};
use stillpoint_core::{Capture, Consistency, Error, ErrorKind, ResourceRef, Result};
use stillpoint_iaas::{FreezeCapability, Observation, Operation, Output, Provider, TakeSnapshot};
use stillpoint_local::{Freezer, LocalProvider, Thaws, failpoint};

/// A guest: a thread that writes a counter to both of its disks, the second after the first,
/// unless it is frozen.
#[derive(Debug)]
struct Guest {
    frozen: AtomicBool,
    /// Acknowledged by the writing thread.
    still: AtomicBool,
    ended: AtomicBool,
    thaws: AtomicU32,
    hangs: AtomicBool,
    armed: AtomicBool,
    arms: fn() -> Result<Thaws>,
}

impl Guest {
    fn start(disks: [PathBuf; 2], arms: fn() -> Result<Thaws>) -> Arc<Self> {
        let guest = Arc::new(Self {
            frozen: AtomicBool::new(false),
            still: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            thaws: AtomicU32::new(0),
            hangs: AtomicBool::new(false),
            armed: AtomicBool::new(false),
            arms,
        });
        let inside = Arc::clone(&guest);
        thread::spawn(move || {
            let mut files = disks.map(|path| OpenOptions::new().write(true).open(path).unwrap());
            for count in 1_u64.. {
                while inside.frozen.load(Ordering::SeqCst) && !inside.ended.load(Ordering::SeqCst) {
                    inside.still.store(true, Ordering::SeqCst);
                    thread::yield_now();
                }
                if inside.ended.load(Ordering::SeqCst) {
                    return;
                }
                inside.still.store(false, Ordering::SeqCst);
                for file in &mut files {
                    std::io::Seek::rewind(file).unwrap();
                    file.write_all(&count.to_le_bytes()).unwrap();
                }
            }
        });
        guest
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Hooks(Arc<Guest>);

impl Freezer for Hooks {
    fn consistency(&self) -> Consistency {
        Consistency::Application
    }

    fn freezes(&self, instance: &ResourceRef) -> bool {
        instance.id() == "web"
    }

    fn arm(&self, _instance: &ResourceRef, _at_most: Duration) -> Result<Thaws> {
        assert!(
            !self.0.frozen.load(Ordering::SeqCst),
            "armed when it is frozen"
        );
        self.0.armed.store(true, Ordering::SeqCst);
        (self.0.arms)()
    }

    fn freeze(&self, _instance: &ResourceRef, _at_most: Duration) -> Result<()> {
        assert!(
            self.0.armed.swap(false, Ordering::SeqCst),
            "frozen and not armed"
        );
        if self.0.hangs.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(200));
            return Ok(());
        }
        self.0.frozen.store(true, Ordering::SeqCst);
        while !self.0.still.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        Ok(())
    }

    fn thaw(&self, _instance: &ResourceRef) -> Result<()> {
        self.0.thaws.fetch_add(1, Ordering::SeqCst);
        self.0.frozen.store(false, Ordering::SeqCst);
        Ok(())
    }
}

async fn running() -> (Bed, Arc<Guest>, LocalProvider, [ResourceRef; 2]) {
    running_armed(|| Ok(Thaws::Itself)).await
}

async fn running_armed(
    arms: fn() -> Result<Thaws>,
) -> (Bed, Arc<Guest>, LocalProvider, [ResourceRef; 2]) {
    let bed = Bed::new();
    let disks = [
        bed.volume("root.raw", 8 * MIB, 1),
        bed.volume("data.raw", 8 * MIB, 1),
    ];
    let guest = Guest::start([bed.file("root.raw"), bed.file("data.raw")], arms);
    let hooks = Arc::new(Hooks(Arc::clone(&guest)));
    let provider = LocalProvider::open_with_freezer("here", bed.path(), hooks).unwrap();
    drive(
        &provider,
        "web",
        &create_instance("web", &[&disks[0], &disks[1]]),
    )
    .await
    .unwrap();
    (bed, guest, provider, disks)
}

fn quiesced(disks: &[ResourceRef; 2], at_most: Duration) -> Operation {
    Operation::Snapshot(TakeSnapshot {
        quiesce: Some(at_most),
        ..take(&instance("web"), &[&disks[0], &disks[1]])
    })
}

async fn counters(provider: &LocalProvider, output: Output) -> Vec<u64> {
    let Output::Snapshot(taken) = output else {
        panic!("{output:?}")
    };
    assert_eq!(taken.consistency, Consistency::Application);
    assert_eq!(taken.capture, Capture::Live);
    let mut found = Vec::new();
    for part in &taken.parts {
        let bytes = provider
            .bytes()
            .unwrap()
            .read(&part.snapshot, 0, 8)
            .await
            .unwrap();
        found.push(u64::from_le_bytes(bytes[..].try_into().unwrap()));
    }
    found
}

#[tokio::test]
async fn a_running_instance_is_frozen_inside_the_call_and_its_disks_are_of_one_instant() {
    let (_bed, guest, provider, disks) = running().await;
    let can = provider.capabilities().await.unwrap();
    assert_eq!(can.freeze, FreezeCapability::SelfThawing);
    for n in 0..10 {
        let take = quiesced(&disks, Duration::from_secs(30));
        let output = drive(&provider, &format!("take-{n}"), &take).await.unwrap();
        let found = counters(&provider, output).await;
        assert_eq!(found[0], found[1], "torn between the disks");
        assert!(!guest.frozen.load(Ordering::SeqCst));
    }
    assert_eq!(guest.thaws.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn without_a_freeze_a_running_instance_is_refused() {
    let (_bed, _guest, provider, disks) = running().await;
    let take = Operation::Snapshot(take(&instance("web"), &[&disks[0], &disks[1]]));
    let error = drive(&provider, "take", &take).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

#[tokio::test]
async fn an_instance_that_was_frozen_before_is_taken_part_by_part() {
    let (_bed, guest, provider, disks) = running().await;
    let freeze = Operation::Freeze {
        instance: instance("web"),
        at_most: Duration::from_secs(30),
    };
    drive(&provider, "freeze", &freeze).await.unwrap();
    drive(&provider, "freeze", &freeze).await.unwrap();
    let busy = provider
        .submit(&key("freeze-too"), &freeze)
        .await
        .unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    let mut found = Vec::new();
    for (n, disk) in disks.iter().enumerate() {
        let part = Operation::Snapshot(take(disk, &[disk]));
        let output = drive(&provider, &format!("part-{n}"), &part).await.unwrap();
        found.extend(counters(&provider, output).await);
    }
    assert_eq!(found[0], found[1]);
    let thaw = Operation::Thaw {
        instance: instance("web"),
    };
    drive(&provider, "thaw", &thaw).await.unwrap();
    drive(&provider, "thaw-again", &thaw).await.unwrap();
    assert!(!guest.frozen.load(Ordering::SeqCst));
    let later = provider
        .observe(&key("freeze"), &freeze, None)
        .await
        .unwrap();
    assert!(matches!(later, Observation::Absent));
}

#[tokio::test]
async fn a_freeze_ends_by_itself() {
    let (_bed, guest, provider, disks) = running().await;
    let freeze = Operation::Freeze {
        instance: instance("web"),
        at_most: Duration::from_secs(2),
    };
    drive(&provider, "freeze", &freeze).await.unwrap();
    while guest.frozen.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let part = Operation::Snapshot(take(&disks[0], &[&disks[0]]));
    let error = drive(&provider, "part", &part).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

#[tokio::test]
async fn a_freeze_that_takes_too_long_fails_and_is_thawed() {
    let (bed, guest, provider, disks) = running().await;
    guest.hangs.store(true, Ordering::SeqCst);
    let take = quiesced(&disks, Duration::from_millis(50));
    let error = drive(&provider, "take", &take).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(guest.thaws.load(Ordering::SeqCst) >= 1);
    assert_eq!(
        std::fs::read_dir(bed.file(".stillpoint/staged"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_freeze_that_holds_nothing_is_found_out() {
    let (bed, guest, provider, disks) = running().await;
    guest.hangs.store(true, Ordering::SeqCst);
    // The hook says so, and the guest goes on writing.
    let take = quiesced(&disks, Duration::from_secs(30));
    let held = failpoint::hold_copies();
    provider.submit(&key("take"), &take).await.unwrap();
    bed.copying("take").await;
    let counter = || std::fs::read(bed.file("root.raw")).unwrap()[..8].to_vec();
    let then = counter();
    while counter() == then {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(held);
    let Observation::Failed { error, .. } = settle(&provider, "take", &take).await else {
        panic!("it was taken");
    };
    assert!(
        error
            .to_string()
            .contains("was written while it was copied"),
        "{error}"
    );
}

/// Past the page cache it would wait for the disk.
#[tokio::test]
async fn who_is_frozen_waits_for_memory_and_not_for_the_disk() {
    let (bed, guest, provider, disks) = running().await;
    let root = OpenOptions::new().write(true).open(bed.file("root.raw"));
    root.unwrap().write_all_at(&vec![7; 40 << 20], MIB).unwrap();
    let staged = bed.file(".stillpoint/staged/take.0.raw");
    let frozen = Arc::clone(&guest);
    let (told, pieces) = std::sync::mpsc::channel();
    failpoint::watch(Some(Box::new(move |did| {
        if let failpoint::Did::Filled(file) = did
            && std::fs::metadata(&staged)
                .is_ok_and(|now| now.ino() == file.metadata().unwrap().ino())
        {
            // That nobody hears it any more is another test's business.
            let _ = told.send(frozen.frozen.load(Ordering::SeqCst));
        }
    })));
    let take = quiesced(&disks, Duration::from_secs(30));
    drive(&provider, "take", &take).await.unwrap();
    failpoint::watch(None);
    let frozen: Vec<bool> = pieces.into_iter().collect();
    assert!(frozen.iter().all(|frozen| *frozen));
    assert!(
        (5..20).contains(&frozen.len()),
        "in {} pieces",
        frozen.len()
    );
}

#[tokio::test]
async fn a_snapshot_that_outlasts_its_freeze_fails() {
    let (bed, guest, provider, disks) = running().await;
    let take = quiesced(&disks, Duration::from_secs(3));
    let held = failpoint::hold_copies();
    provider.submit(&key("take"), &take).await.unwrap();
    bed.copying("take").await;
    // Ended, so that nothing but the thaw itself is there to be noticed.
    guest.ended.store(true, Ordering::SeqCst);
    while guest.thaws.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(held);
    let Observation::Failed { error, .. } = settle(&provider, "take", &take).await else {
        panic!("it was taken");
    };
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn nothing_is_frozen_that_nobody_would_thaw_if_this_process_were_killed() {
    type Arms = fn() -> Result<Thaws>;
    let nobody: [(Arms, ErrorKind); 3] = [
        (
            || Err(Error::new(ErrorKind::Unsupported, "no agent")),
            ErrorKind::Unsupported,
        ),
        (
            || {
                Ok(Thaws::Watchdog {
                    pid: std::process::id(),
                })
            },
            ErrorKind::Precondition,
        ),
        (
            || Ok(Thaws::Watchdog { pid: 1 << 30 }),
            ErrorKind::Precondition,
        ),
    ];
    for (arms, kind) in nobody {
        let (_bed, guest, provider, disks) = running_armed(arms).await;
        let take = quiesced(&disks, Duration::from_secs(30));
        let error = drive(&provider, "take", &take).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!guest.frozen.load(Ordering::SeqCst));
        assert_eq!(guest.thaws.load(Ordering::SeqCst), 0, "it never was frozen");
    }
}
