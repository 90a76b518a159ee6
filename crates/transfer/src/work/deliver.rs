use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stillpoint_archive::Error as ArchiveError;
use stillpoint_core::{Result, Retry};
use stillpoint_engine::Delivered;
use stillpoint_engine::background::{Failed, blocking};

use super::Task;
use crate::failure::of_archive;
use crate::place::{ArchiveRef, Shelf};
use crate::staging::{remove_file, rename_new, sync_folder_of};

/// How long to wait before an upload goes on that was cut off. A step that fails loses what was
/// uploaded.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

impl Task {
    /// Puts the staged archive where it goes. Its name has the job's id in it, so whatever has
    /// the name is what this job delivered.
    pub(super) async fn deliver(&self, shelf: &Shelf, stem: &str) -> Result<Value, Failed> {
        let archive = shelf.archive(&self.name(stem));
        match &archive {
            ArchiveRef::Depot { depot, id } => {
                // What is there may be whole: another engine has delivered it, if this one slept and
                // lost the job. So only the undo removes it, which is run by who has the job.
                let uploaded = self.upload(shelf, depot, id).await;
                uploaded.map_err(|error| Failed::leaving(error, true))?;
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
        let mut pauses = PAUSES.into_iter();
        loop {
            let uploaded = tokio::select! {
                uploaded = depot.upload(id, &staged) => uploaded,
                error = self.line.stop().asked() => return Err(error),
            };
            let Err(error) = uploaded else {
                return Ok(());
            };
            let error = of_archive(&shown, error);
            let Some(pause) = pauses.next().filter(|_| error.retry() != Retry::Never) else {
                return Err(error);
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                error = self.line.stop().asked() => return Err(error),
            }
        }
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
        // The name may be no more than in memory.
        (Err(_), Ok(_)) => sync_folder_of(to),
        // Cut off in the middle, where the file system has no rename that never replaces.
        (Ok(one), Ok(other)) if one.ino() == other.ino() && one.dev() == other.dev() => {
            remove_file(from)
        }
        _ => rename_new(from, to),
    }
}
