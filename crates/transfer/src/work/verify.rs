use serde_json::Value;
use stillpoint_archive::{Archive, Assurance, VerifyLevel, Watch, verify};
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_engine::background::{Line, blocking};

use super::Task;
use crate::failure::of_archive;
use crate::place::ArchiveRef;
use crate::vault::changed;

impl Task {
    /// Reads every byte of the archive that was planned with.
    pub(super) async fn verify(
        &self,
        archive: &ArchiveRef,
        root: Digest,
        fetched: bool,
    ) -> Result<Value> {
        if let (ArchiveRef::Depot { depot, id }, false) = (archive, fetched) {
            let depot = &self.bench.vault.depot(depot)?.depot;
            let verified = tokio::select! {
                verified = depot.verify(id) => verified,
                error = self.line.stop().asked() => return Err(error),
            };
            let report = verified.map_err(|error| of_archive(archive, error))?;
            return match report.root {
                Some(found) if found.0 == *root.as_bytes() => Ok(Value::Null),
                _ => Err(changed(archive)),
            };
        }
        let path = self.path(archive)?;
        let (bench, line, place) = (self.bench.clone(), self.line.clone(), archive.clone());
        blocking(move || {
            let archive = bench.vault.open_same(&path, &place, root)?;
            in_full(&archive, &place, &line)
        })
        .await
    }
}

/// Reads every byte of an open archive.
pub(super) fn in_full(archive: &Archive, place: &ArchiveRef, line: &Line) -> Result<Value> {
    let total = archive.entries().map(|entry| entry.size()).sum();
    let meter = line.meter(total);
    let watch = Watch::none()
        .cancel(line.stop().flag().into())
        .progress(move |it| meter.reach(it.bytes));
    let report =
        verify(archive, VerifyLevel::Full, &watch).map_err(|error| of_archive(place, error))?;
    if report.assurance != Assurance::Verified {
        let message = format!("{place}: it cannot be verified");
        return Err(Error::new(ErrorKind::Corrupt, message).advise("Use another copy of it"));
    }
    Ok(Value::Null)
}
