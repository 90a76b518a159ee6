//! Faults of the disk, on a disk in memory that has them when a test wants them.

use std::sync::Arc;

use redb::Database;
use tempfile::TempDir;

use crate::batch::{Batch, Guard};
use crate::redb::database::Opener;
use crate::redb::owner::Owner;
use crate::redb::tests::disk::Disk;
use crate::redb::{Redb, table};
use crate::state::StateExt;

mod disk;
mod full;
mod group;
mod overlay;
mod power;
mod sync;

/// A state on that disk; the folder is for the lock alone.
fn open(disk: &Disk) -> stillpoint_core::Result<(Arc<Redb>, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    std::fs::write(&path, "").unwrap();
    let owner = Owner::exclusive(&path)?;
    let disk = disk.clone();
    let opener = Opener::new(&path, move || Ok(Box::new(disk.clone())));
    Ok((Arc::new(Redb::start(opener, owner)?), folder))
}

/// A disk with a new state on it.
fn formatted() -> Disk {
    let disk = Disk::default();
    let database = Database::builder()
        .create_with_backend(disk.clone())
        .unwrap();
    table::initialise(&database).unwrap();
    drop(database);
    disk
}

/// A batch of three writes, which stand together or not at all.
fn batch(number: u64, bytes: usize) -> Batch {
    let mut batch = Batch::new();
    for part in 0..3 {
        let value = vec![b'x'; bytes];
        batch.put(format!("batch/{number:06}/{part}"), Guard::Absent, value);
    }
    batch
}

/// The numbers of the batches that are there; panics over half a batch.
async fn batches(state: &Redb) -> Vec<u64> {
    let entries = state
        .scan_prefix("batch/")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let numbers: Vec<u64> = entries
        .iter()
        .map(|entry| entry.key.split('/').nth(1).unwrap().parse().unwrap())
        .collect();
    let whole = numbers
        .chunks(3)
        .all(|parts| parts.len() == 3 && parts[0] == parts[2]);
    assert!(whole, "there is half a batch: {numbers:?}");
    numbers.into_iter().step_by(3).collect()
}
