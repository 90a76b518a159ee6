use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;
use stillpoint_archive::Error as ArchiveError;
use stillpoint_core::Result;
use stillpoint_engine::Delivered;
use stillpoint_engine::background::{Failed, blocking};

use super::Task;
use crate::failure::of_archive;
use crate::place::{ArchiveRef, Shelf};
use crate::staging::{remove_file, rename_new};

impl Task {
    /// Puts the staged archive where it goes. Its name has the job's id in it, so whatever has
    /// the name is what this job delivered.
    pub(super) async fn deliver(&self, shelf: &Shelf, stem: &str) -> Result<Value, Failed> {
        let archive = shelf.archive(&self.name(stem));
        match &archive {
            ArchiveRef::Depot { depot, id } => {
                if let Err(error) = self.upload(shelf, depot, id).await {
                    let gone = self.withdraw(shelf, stem).await;
                    return Err(Failed::leaving(error, gone.is_err()));
                }
            }
            ArchiveRef::File(path) => {
                let (from, to) = (self.staging(shelf)?.archive(), path.clone());
                blocking(move || place(&from, &to)).await?;
            }
        }
        let delivered = self.delivered(&archive, shelf).await;
        delivered.map_err(|error| Failed::leaving(error, true))
    }

    async fn upload(&self, shelf: &Shelf, depot: &str, id: &str) -> Result<()> {
        let staged = self.staging(shelf)?.archive();
        let depot = &self.bench.vault.depot(depot)?.depot;
        let shown = shelf.archive(id);
        self.line.stop().check()?;
        let uploaded = tokio::select! {
            uploaded = depot.upload(id, &staged) => uploaded.map(drop),
            error = self.line.stop().asked() => return Err(error),
        };
        uploaded.map_err(|error| of_archive(&shown, error))
    }

    /// What the catalogue is to say of it.
    async fn delivered(&self, archive: &ArchiveRef, shelf: &Shelf) -> Result<Value> {
        let path = match archive {
            ArchiveRef::Depot { .. } => self.staging(shelf)?.archive(),
            ArchiveRef::File(path) => path.clone(),
        };
        let (vault, place) = (self.bench.vault.clone(), archive.clone());
        let delivered = blocking(move || vault.delivered(&path, &place)).await?;
        Ok(serde_json::to_value::<Delivered>(delivered).expect("plain data with text for keys"))
    }

    /// Removes what was delivered, whole or in part.
    pub(super) async fn withdraw(&self, shelf: &Shelf, stem: &str) -> Result<Value> {
        let archive = shelf.archive(&self.name(stem));
        match &archive {
            ArchiveRef::Depot { depot, id } => {
                let depot = &self.bench.vault.depot(depot)?.depot;
                match depot.delete(id).await {
                    Ok(()) | Err(ArchiveError::NoSuchEntry(_)) => {}
                    Err(error) => return Err(of_archive(&archive, error)),
                }
            }
            ArchiveRef::File(path) => {
                let path = path.clone();
                blocking(move || remove_file(&path)).await?;
            }
        }
        Ok(Value::Null)
    }
}

/// Gives the staged archive its name, or finds that it has it.
fn place(from: &Path, to: &Path) -> Result<()> {
    match (from.symlink_metadata(), to.symlink_metadata()) {
        (Err(_), Ok(_)) => Ok(()),
        // Cut off in the middle, where the file system has no rename that never replaces.
        (Ok(one), Ok(other)) if one.ino() == other.ino() && one.dev() == other.dev() => {
            remove_file(from)
        }
        _ => rename_new(from, to),
    }
}
