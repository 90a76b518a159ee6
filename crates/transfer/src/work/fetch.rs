use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_engine::background::{Failed, blocking};

use super::Task;
use crate::failure::of_archive;
use crate::place::{ArchiveRef, Shelf};
use crate::staging::Staging;

impl Task {
    /// Downloads the archive into the staging folder; one that is there is whole.
    pub(super) async fn fetch(&self, archive: &ArchiveRef, root: Digest) -> Result<Value, Failed> {
        let ArchiveRef::Depot { depot, id } = archive else {
            let message = format!("{archive}: only an archive of a depot is fetched");
            return Err(Error::new(ErrorKind::Internal, message).into());
        };
        let staging = self.staging(&Shelf::Depot(depot.clone()))?;
        let _entered = self.enter(&staging).await?;
        let fetched = self.fetch_into(&staging, depot, id, archive, root);
        match fetched.await {
            Ok(()) => Ok(Value::Null),
            Err(error) => Err(self.give_up(&staging, error).await),
        }
    }

    async fn fetch_into(
        &self,
        staging: &Staging,
        depot: &str,
        id: &str,
        archive: &ArchiveRef,
        root: Digest,
    ) -> Result<()> {
        let depot = &self.bench.vault.depot(depot)?.depot;
        let path = staging.archive();
        if !path.exists() {
            let downloaded = tokio::select! {
                downloaded = depot.download(id, &path) => downloaded,
                error = self.line.stop().asked() => return Err(error),
            };
            downloaded.map_err(|error| of_archive(archive, error))?;
        }
        let (vault, place) = (self.bench.vault.clone(), archive.clone());
        blocking(move || vault.open_same(&path, &place, root).map(drop)).await
    }
}
