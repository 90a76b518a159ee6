//! The archives of a manager, and what can be done with them besides capturing and restoring.

use std::path::Path;
use std::sync::Arc;

use stillpoint_archive::depot::Depot;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::Clock;

use crate::failure::of_archive;
use crate::records::{Record, RecordState, Records};

/// The archives of a manager: listed, brought here from elsewhere, taken from here, deleted.
#[derive(Clone, Debug)]
pub struct Archives {
    pub(crate) records: Records,
    pub(crate) depot: Depot,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Archives {
    /// The records of all of them.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Brings the archive at a path here, as this id: it counts once all of it was read. `holder`
    /// names the one who does it, and is to be different for each call.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where the id is taken; [`ErrorKind::Corrupt`] where it is no archive
    /// or is damaged, and then the record says so; those of the depot and of the state.
    pub async fn upload(&self, id: &str, path: &Path, holder: &str) -> Result<Record> {
        let now = self.clock.now();
        let uploading = Record::new(id, RecordState::Uploading, holder, now);
        self.records.begin(uploading).await?;
        let uploaded = tokio::select! {
            uploaded = self.bring(id, path) => uploaded,
            error = self.records.keep(id, holder, &*self.clock) => Err(error),
        };
        match uploaded {
            Ok(size) => {
                let whole = |record: &mut Record| record.size = Some(size);
                self.records.advance(id, RecordState::Uploaded, whole).await
            }
            Err(error) => {
                let said = error.to_report().message;
                let why = |record: &mut Record| record.error = Some(said.clone());
                self.records.advance(id, RecordState::Failed, why).await?;
                Err(error)
            }
        }
    }

    async fn bring(&self, id: &str, path: &Path) -> Result<u64> {
        let failed = |error| of_archive(id, error);
        self.records
            .advance(id, RecordState::Verifying, |_| {})
            .await?;
        let receipt = self.depot.upload(id, path).await.map_err(failed)?;
        Ok(receipt.size)
    }

    /// Writes an archive, proven, to a path that must not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] where it is not [whole](RecordState::is_whole);
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Corrupt`] where it was damaged, which its record then
    /// says; those of the depot and of the state.
    pub async fn download(&self, id: &str, path: &Path) -> Result<()> {
        let record = self.records.get(id).await?;
        if !record.state.is_whole() {
            let message = format!("snapshot `{id}` is {}, and not whole", record.state.word());
            return Err(Error::new(ErrorKind::Precondition, message)
                .advise("Wait for it, or take another one"));
        }
        let downloaded = self.depot.download(id, path).await;
        let error = match downloaded.map_err(|error| of_archive(id, error)) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Corrupt {
            let said = error.to_report().message;
            let why = |record: &mut Record| record.error = Some(said.clone());
            self.records.advance(id, RecordState::Corrupt, why).await?;
        }
        Err(error)
    }

    /// Deletes an archive that is nobody's work; none is a success.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while somebody works on it; those of the depot and of the state.
    pub async fn delete(&self, id: &str) -> Result<()> {
        match self.records.get(id).await {
            Ok(record) if record.state.is_in_work() => {
                let word = record.state.word();
                let message = format!("snapshot `{id}` is {word} by somebody");
                return Err(Error::new(ErrorKind::Busy, message).advise("Wait for it, or stop it"));
            }
            Ok(_) => {
                let deleting = RecordState::Deleting;
                self.records.advance(id, deleting, |_| {}).await?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let deleted = self.depot.delete(id).await;
        deleted.map_err(|error| of_archive(id, error))?;
        self.records.remove(id).await
    }
}
