use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stillpoint_archive::{Assurance, VerifyLevel, Watch, verify};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::background::{Failed, blocking};

use super::{Bound, Task};
use crate::failure::of_archive;
use crate::remove::remove;

/// What a fetched archive is called while it is here.
pub(super) const FETCHED: &str = "archive.zip";

/// How often a download is looked at.
const LOOK: Duration = Duration::from_millis(200);

impl Task {
    /// Downloads the archive; one that has its name here is whole.
    pub(super) async fn fetch(&self, archive: &str, bound: Bound) -> Result<Value, Failed> {
        let folder = self.folder();
        let Err(error) = self.fetch_into(archive, bound).await else {
            return Ok(Value::Null);
        };
        let left = blocking(move || remove(&folder)).await.is_err();
        Err(Failed::leaving(error, left))
    }

    async fn fetch_into(&self, archive: &str, bound: Bound) -> Result<()> {
        let (folder, path) = (self.folder(), self.folder().join(FETCHED));
        blocking(move || {
            let failed = |source| Error::io(format_args!("making {}", folder.display()), &source);
            fs::create_dir_all(&folder).map_err(failed)
        })
        .await?;
        if !path.exists() {
            let downloaded = tokio::select! {
                downloaded = self.inner.depot.download(archive, &path) => downloaded,
                error = self.stop.asked() => return Err(error),
                never = self.follow(archive) => match never {},
            };
            let receipt = downloaded.map_err(|error| of_archive(archive, error))?;
            if receipt.sha256.0 != *bound.sha256.as_bytes() {
                let message = format!("archive {archive} is not the one that was planned with");
                return Err(Error::new(ErrorKind::Conflict, message).advise("Plan again"));
            }
        }
        let (keys, name) = (self.inner.keys.clone(), archive.to_owned());
        blocking(move || keys.open_same(&path, &name, bound.root).map(drop)).await
    }

    /// Tells how much of a download has arrived: as much as is in the job's folder, which holds
    /// nothing else by then.
    async fn follow(&self, archive: &str) -> Infallible {
        let size = match self.inner.depot.receipt(archive).await {
            Ok(receipt) => receipt.size,
            // The download says what is wrong.
            Err(_) => pending().await,
        };
        let meter = self.line.meter(size);
        loop {
            tokio::time::sleep(LOOK).await;
            let folder = self.folder();
            let arrived = blocking(move || Ok(bytes_in(&folder))).await;
            meter.reach(arrived.unwrap_or_default().min(size));
        }
    }

    /// Reads every byte of the fetched archive.
    pub(super) async fn verify(&self, archive: String, bound: Bound) -> Result<Value> {
        let path = self.folder().join(FETCHED);
        let (keys, line) = (self.inner.keys.clone(), self.line.clone());
        blocking(move || {
            let opened = keys.open_same(&path, &archive, bound.root)?;
            let meter = line.meter(opened.entries().map(|entry| entry.size()).sum());
            let watch = Watch::none()
                .cancel(line.stop().flag().into())
                .progress(move |it| meter.reach(it.bytes));
            let report = verify(&opened, VerifyLevel::Full, &watch)
                .map_err(|error| of_archive(&archive, error))?;
            let wanted = match bound.root {
                Some(_) => Assurance::Verified,
                None => Assurance::CrcOnly,
            };
            if report.assurance != wanted {
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
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::io(
                format_args!("removing {}", path.display()),
                &source,
            )),
            _ => Ok(Value::Null),
        })
        .await
    }
}

/// Bytes of the files in a folder; what cannot be looked at counts for nothing.
fn bytes_in(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|it| it.metadata().ok()).map(|it| it.len());
    sizes.sum()
}
