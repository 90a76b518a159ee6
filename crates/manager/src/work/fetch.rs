use std::fs;

use serde_json::Value;
use stillpoint_archive::{Assurance, VerifyLevel, Watch, verify};
use stillpoint_core::{Digest, Error, ErrorKind, Result};

use super::Task;
use super::capture::remove_folder;
use crate::failure::{blocking, of_archive, of_io, stopped};
use crate::jobs::Failed;

/// What a fetched archive is called while it is here.
pub(super) const FETCHED: &str = "archive.zip";

impl Task {
    /// Downloads the archive; one that has its name here is whole.
    pub(super) async fn fetch(&self, archive: &str, root: Digest) -> Result<Value, Failed> {
        let folder = self.folder();
        let Err(error) = self.fetch_into(archive, root).await else {
            return Ok(Value::Null);
        };
        let left = blocking(move || remove_folder(&folder)).await.is_err();
        Err(Failed { error, left })
    }

    async fn fetch_into(&self, archive: &str, root: Digest) -> Result<()> {
        let (folder, path) = (self.folder(), self.folder().join(FETCHED));
        blocking(move || {
            let failed = |source| of_io(&format!("making {}", folder.display()), &source);
            fs::create_dir_all(&folder).map_err(failed)
        })
        .await?;
        if !path.exists() {
            let downloaded = tokio::select! {
                downloaded = self.inner.depot.download(archive, &path) => downloaded,
                () = self.stop.asked() => return Err(stopped()),
            };
            downloaded.map_err(|error| of_archive(archive, error))?;
        }
        let (keys, name) = (self.inner.keys.clone(), archive.to_owned());
        blocking(move || keys.open_same(&path, &name, root).map(drop)).await
    }

    /// Reads every byte of the fetched archive.
    pub(super) async fn verify(&self, archive: String, root: Digest) -> Result<Value> {
        let path = self.folder().join(FETCHED);
        let (keys, stop) = (self.inner.keys.clone(), self.stop.clone());
        blocking(move || {
            let opened = keys.open_same(&path, &archive, root)?;
            let watch = Watch::none().cancel(stop.archive());
            let report = verify(&opened, VerifyLevel::Full, &watch)
                .map_err(|error| of_archive(&archive, error))?;
            if report.assurance != Assurance::Verified {
                let message = format!("archive {archive} cannot be verified");
                return Err(Error::new(ErrorKind::Corrupt, message).advise("Use another copy"));
            }
            Ok(Value::Null)
        })
        .await
    }

    /// Removes the fetched archive. What components keep for an undo stays.
    pub(super) async fn tidy_fetched(&self) -> Result<Value> {
        let path = self.folder().join(FETCHED);
        blocking(move || match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(of_io(&format!("removing {}", path.display()), &source))
            }
            _ => Ok(Value::Null),
        })
        .await
    }
}
