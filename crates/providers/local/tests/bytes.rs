//! Extents, ranged reads and writes, and what the copies keep of holes.

mod bed;

use std::fs;
use std::os::unix::fs::FileExt;

use bed::{Bed, MIB, allocated, create_volume, drive, key, settle, snapshot, take_volume, volume};
use stillpoint_core::{Detail, Disk, ErrorKind};
use stillpoint_iaas::{Observation, Operation, Provider, content_digest};
use stillpoint_local::{LocalProvider, failpoint};

#[tokio::test]
async fn what_is_written_is_read_back_and_a_snapshot_is_not_written() {
    let bed = Bed::new();
    let provider = bed.open();
    drive(&provider, "make", &create_volume("disk.raw", 4 * MIB, None))
        .await
        .unwrap();
    let disk = volume("disk.raw");
    let bytes = provider.bytes().unwrap();
    assert!(bytes.extents(&disk, 0).await.unwrap().is_empty());
    bytes
        .write(&disk, 2 * MIB + 5, "hello".into())
        .await
        .unwrap();
    bytes.write(&disk, 4 * MIB - 1, "!".into()).await.unwrap();
    let beyond = bytes
        .write(&disk, 4 * MIB - 1, "!!".into())
        .await
        .unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::Invalid);
    bytes.flush(&disk).await.unwrap();
    assert_eq!(bytes.read(&disk, 2 * MIB + 5, 5).await.unwrap(), "hello");
    assert_eq!(bytes.read(&disk, 4 * MIB - 1, 100).await.unwrap(), "!");
    assert!(bytes.read(&disk, 5 * MIB, 1).await.unwrap().is_empty());
    let extents = bytes.extents(&disk, 0).await.unwrap();
    assert!(
        extents
            .iter()
            .any(|extent| extent.offset <= 2 * MIB + 5 && extent.end() >= 2 * MIB + 10)
    );
    assert!(extents.iter().map(|extent| extent.length).sum::<u64>() < MIB);

    // A write that was not flushed does not stand in the way, and is in the snapshot.
    bytes.write(&disk, 0, "unflushed".into()).await.unwrap();
    let taken = snapshot(&provider, "take", &disk).await.parts[0]
        .snapshot
        .clone();
    assert_eq!(bytes.read(&taken, 0, 9).await.unwrap(), "unflushed");
    let refused = bytes.write(&taken, 0, "x".into()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let same = content_digest(bytes, &disk, |_| ()).await.unwrap();
    assert_eq!(content_digest(bytes, &taken, |_| ()).await.unwrap(), same);
}

#[tokio::test]
async fn the_content_stamp_stands_while_the_bytes_do() {
    let bed = Bed::new();
    let disk = bed.volume("disk.raw", MIB, 1);
    let provider = bed.open();
    let stamp = |resource: stillpoint_core::Resource| match resource.detail {
        Detail::Volume { content_stamp, .. } => content_stamp.unwrap(),
        other => panic!("{other:?}"),
    };
    let taken = snapshot(&provider, "take", &disk).await;
    let then = taken.parts[0].content_stamp.clone().unwrap();
    assert_eq!(stamp(provider.describe(&disk).await.unwrap()), then);
    provider
        .bytes()
        .unwrap()
        .write(&disk, 0, "x".into())
        .await
        .unwrap();
    assert_ne!(stamp(provider.describe(&disk).await.unwrap()), then);
}

#[tokio::test]
async fn a_copy_tells_its_progress_and_stops_when_asked() {
    tells_and_stops(24).await;
}

#[tokio::test]
async fn a_copy_past_the_page_cache_does_so_too() {
    tells_and_stops(40).await;
}

async fn tells_and_stops(mib: u64) {
    let bed = Bed::new();
    let disk = volume("disk.raw");
    let file = fs::File::create(bed.file("disk.raw")).unwrap();
    let piece = vec![9; 1 << 20];
    for at in 0..mib {
        file.write_all_at(&piece, at * MIB).unwrap();
    }
    drop(file);
    let provider = bed.open();
    let take = take_volume(&disk);
    let before = bed.inventory().len();

    let held = failpoint::hold_copies();
    provider.submit(&key("stopped"), &take).await.unwrap();
    bed.copying("stopped").await;
    let delete = Operation::DeleteVolume {
        volume: disk.clone(),
    };
    let busy = provider.submit(&key("delete"), &delete).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    provider.submit(&key("stopped"), &take).await.unwrap();
    let other = provider.submit(&key("stopped"), &delete).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict, "{other}");
    provider.cancel(&key("stopped"), &take, None).await.unwrap();
    drop(held);
    match settle(&provider, "stopped", &take).await {
        Observation::Cancelled { left } => assert!(left.is_empty()),
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.inventory().len(), before);

    // The same key may try again.
    provider.submit(&key("stopped"), &take).await.unwrap();
    let mut last = 0;
    loop {
        match provider
            .observe(&key("stopped"), &take, None)
            .await
            .unwrap()
        {
            Observation::Running {
                progress,
                look_again_in,
            } => {
                let progress = progress.unwrap();
                assert_eq!(progress.total(), mib * MIB);
                assert!(progress.done() >= last);
                last = progress.done();
                tokio::time::sleep(look_again_in).await;
            }
            Observation::Done { .. } => break,
            other => panic!("{other:?}"),
        }
    }

    // Dropped in the middle, it is over with the drop, and the folder is free.
    let held = failpoint::hold_copies();
    provider.submit(&key("dropped"), &take).await.unwrap();
    bed.copying("dropped").await;
    let dropping = std::thread::spawn(move || drop(provider));
    let busy = LocalProvider::open("here", bed.path()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    drop(held);
    dropping.join().unwrap();
    let provider = bed.open();
    let told = provider
        .observe(&key("dropped"), &take, None)
        .await
        .unwrap();
    assert!(
        matches!(told, Observation::Absent | Observation::Done { .. }),
        "{told:?}"
    );
    assert_eq!(
        fs::read_dir(bed.file(".stillpoint/staged"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_large_copy_is_equal_and_not_dense() {
    let bed = Bed::new();
    let disk = bed.large_volume("large.raw");
    let provider = bed.open();
    snapshot(&provider, "take", &disk).await;
    let copy = bed.file(".stillpoint/snapshots/take.0.raw");
    assert!(fs::read(&copy).unwrap() == fs::read(bed.file("large.raw")).unwrap());
    let data = allocated(&bed.file("large.raw"));
    assert!((data - MIB..data + MIB).contains(&allocated(&copy)));
}

#[tokio::test]
async fn a_declared_instance_says_which_disks_are_ephemeral() {
    let bed = Bed::new();
    let root = bed.volume("root.raw", 2 * MIB, 1);
    let provider = bed.open();
    let disks = [
        Disk {
            name: "root".into(),
            volume: Some(root),
            size: 0,
            boot: true,
        },
        Disk {
            name: "scratch".into(),
            volume: None,
            size: 7 * MIB,
            boot: false,
        },
    ];
    let web = provider.declare_instance("web", &disks).await.unwrap();
    provider.declare_instance("web", &disks).await.unwrap();
    let Detail::Instance { disks, .. } = provider.describe(&web).await.unwrap().detail else {
        panic!()
    };
    assert_eq!(
        (disks[0].size, &disks[1].volume, disks[1].size),
        (2 * MIB, &None, 7 * MIB)
    );
    let twice = [disks[0].clone(), disks[0].clone()];
    let error = provider.declare_instance("db", &twice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
}
