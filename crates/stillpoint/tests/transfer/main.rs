//! Snapshots to archives and back: real folders and files, depots in folders, and the simulated
//! cloud.

#[path = "../bed/mod.rs"]
mod bed;

mod bad_archives;
mod guards;
mod sealing;
mod trips;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bed::{Bed, WEB};
use stillpoint::archives::depot::Depot;
use stillpoint::{Builder, Exported, Result, Snapshot, Stillpoint};

/// A bed with a snapshot of its instance, and what works on it.
async fn with_snapshot(change: impl FnOnce(Builder) -> Builder) -> (Bed, Stillpoint, Snapshot) {
    let bed = Bed::new().await;
    let still = bed.start_with(change);
    let before = still.snapshot(WEB).named("before").await.unwrap();
    (bed, still, before)
}

/// As [`with_snapshot`], and an archive of it in `backup`.
async fn exported() -> (Bed, Stillpoint, Snapshot, Exported) {
    let (bed, still, before) = with_snapshot(|builder| builder).await;
    let shelf = backup(&bed);
    let exported = still.export(before.id).to(shelf).await.unwrap();
    (bed, still, before, exported)
}

/// A folder for archives beside the volumes.
fn backup(bed: &Bed) -> PathBuf {
    let folder = bed.path().join("backup");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A depot that is a folder of this machine, and where archives wait on their way.
fn depot(builder: Builder, top: &Path) -> Builder {
    let [store, staging] = ["store", "staging"].map(|name| top.join(name));
    fs::create_dir_all(&staging).unwrap();
    let depot = Depot::folder(store, "archives").unwrap();
    builder.depot("offsite", depot, staging)
}

/// The path in an [`Exported::archive`].
fn path_of(exported: &Exported) -> PathBuf {
    exported.archive.strip_prefix("file:").unwrap().into()
}

async fn end(still: Stillpoint) {
    still.shutdown(Duration::from_secs(5)).await;
    drop(still);
    tokio::task::yield_now().await;
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Who fails a request must say so before it touches anything.
async fn refused<T>(asked: impl IntoFuture<Output = Result<T>>, says: &[&str]) {
    let error = asked.into_future().await.err().expect("it is refused");
    let text = error.to_string();
    for wanted in says {
        assert!(text.contains(wanted), "`{wanted}` is not in: {text}");
    }
    assert!(text.contains("Nothing was changed"), "{text}");
}
