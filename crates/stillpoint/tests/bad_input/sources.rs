//! Sources, folders and records that are not as they should be.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stillpoint::{ErrorKind, Stillpoint, World};

use crate::bed::{Bed, WEB, files};
use crate::{end, inventory, says};

#[tokio::test]
async fn a_source_that_a_process_writes() {
    let bed = Bed::new().await;
    let still = bed.start();
    let before = files(&bed.folder());
    let file = OpenOptions::new()
        .append(true)
        .open(bed.file("data.img"))
        .unwrap();
    // It ends with its input, and that with this test.
    let mut writer = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn()
        .unwrap();
    let error = still.snapshot(WEB).await.unwrap_err();
    says(
        &error,
        ErrorKind::Busy,
        &["data.img", &writer.id().to_string()],
    );
    assert_eq!(files(&bed.folder()), before);
    drop(writer.stdin.take());
    writer.wait().unwrap();
    still.snapshot(WEB).await.unwrap();
    end(still).await;
}

#[tokio::test]
async fn a_source_that_grows() {
    let bed = Bed::new().await;
    let still = bed.start();
    let grows = Arc::new(AtomicBool::new(true));
    let appender = std::thread::spawn({
        let (grows, path) = (Arc::clone(&grows), bed.file("data.img"));
        move || {
            while grows.load(Ordering::SeqCst) {
                OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .unwrap()
                    .write_all(b"more")
                    .unwrap();
            }
        }
    });
    let mut tries = 0;
    let error = loop {
        match still.snapshot(WEB).await {
            Err(error) => break error,
            // On a busy machine the appender may have slept all the while.
            Ok(taken) => still.delete(taken.id).await.unwrap(),
        }
        tries += 1;
        assert!(tries < 50, "it grows, and nobody sees it");
    };
    grows.store(false, Ordering::SeqCst);
    appender.join().unwrap();
    // It has grown since the plan was made, or while it was copied.
    let grown = error.kind() == ErrorKind::Conflict && error.to_string().contains(WEB);
    let busy = error.kind() == ErrorKind::Busy && error.to_string().contains("data.img");
    assert!(grown || busy, "{error}");
    assert!(error.advice().is_some(), "{error}");
    assert!(
        matches!(error.world(), World::Untouched | World::RolledBack),
        "{error}"
    );
    end(still.clone()).await;
    drop(still);
    let found = bed.found().await;
    assert_eq!(found.snapshots, []);
    found.check_files("after the refusal");
}

#[tokio::test]
async fn a_source_that_cannot_be_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let bed = Bed::new().await;
    symlink("root.img", bed.file("link.img")).unwrap();
    fs::create_dir(bed.file("folder.img")).unwrap();
    let still = bed.start();
    // Neither is a volume: what a link leads to may be outside of the folder.
    for name in ["link.img", "folder.img"] {
        let error = still
            .snapshot(format!("here/volume/{name}").as_str())
            .await
            .unwrap_err();
        says(&error, ErrorKind::NotFound, &[name]);
    }
    // Rights do not keep root out.
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(bed.file("data.img"), fs::Permissions::from_mode(0o000)).unwrap();
        let error = still.snapshot(WEB).await.unwrap_err();
        says(&error, ErrorKind::Permission, &["data.img"]);
        fs::set_permissions(bed.file("data.img"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(
        still
            .snapshots(&Default::default())
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    end(still).await;
}

#[tokio::test]
async fn a_place_that_cannot_be_written() {
    // Where even root makes no files.
    let bed = Bed::new().await;
    let error = bed.builder().folder("other", "/sys").build().unwrap_err();
    says(&error, ErrorKind::Permission, &["/sys/.stillpoint"]);
    let error = Stillpoint::builder()
        .state_file("/sys/state.redb")
        .build()
        .unwrap_err();
    says(&error, ErrorKind::Permission, &["/sys/state.redb"]);
    let missing = bed.file("nowhere");
    let error = bed.builder().folder("other", &missing).build().unwrap_err();
    says(&error, ErrorKind::NotFound, &["nowhere"]);
    let error = Stillpoint::builder()
        .state_file(missing.join("state.redb"))
        .build()
        .unwrap_err();
    says(&error, ErrorKind::NotFound, &["nowhere"]);
}

#[tokio::test]
async fn records_of_the_folder_that_are_damaged() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 2] = [
        |it| it.truncate(it.len() / 2),
        |it| {
            let middle = it.len() / 2;
            it[middle] ^= 4;
        },
    ];
    for damage in damages {
        let bed = Bed::new().await;
        let still = bed.start();
        let taken = still.snapshot(WEB).await.unwrap();
        let damaged = |name: &str| {
            let path = bed.file(name);
            let whole = fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            whole
        };
        let part = taken.parts[0].snapshot.id();
        let record = format!(".stillpoint/snapshots/{part}.json");
        let whole = damaged(&record);
        let before = inventory(&bed, &still).await;
        let error = still.restore(taken.id).await.unwrap_err();
        says(&error, ErrorKind::Corrupt, &[&record]);
        assert_eq!(inventory(&bed, &still).await, before);
        fs::write(bed.file(&record), whole).unwrap();

        let record = ".stillpoint/instances/web.json";
        let whole = damaged(record);
        let error = still.snapshot(WEB).await.unwrap_err();
        says(&error, ErrorKind::Corrupt, &[record]);
        fs::write(bed.file(record), whole).unwrap();
        still.restore(taken.id).await.unwrap();
        end(still).await;
    }
}

#[tokio::test]
async fn a_part_whose_file_is_gone() {
    let bed = Bed::new().await;
    let still = bed.start();
    let taken = still.snapshot(WEB).await.unwrap();
    let part = taken.parts[1].snapshot.clone();
    fs::remove_file(bed.file(&format!(".stillpoint/snapshots/{}.raw", part.id()))).unwrap();
    let before = inventory(&bed, &still).await;
    let error = still.restore(taken.id).await.unwrap_err();
    says(&error, ErrorKind::Corrupt, &[part.id(), ".raw"]);
    assert_eq!(inventory(&bed, &still).await, before);
    still.restore(taken.id).disks(["root"]).await.unwrap();
    end(still).await;
}
