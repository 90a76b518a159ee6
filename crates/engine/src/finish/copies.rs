//! What the catalogue learns of a snapshot's copies in archives.

use stillpoint_core::{Error, ErrorKind, Exported, Result, Snapshot, SnapshotId};
use stillpoint_state::Batch;

use super::Ending;
use crate::action::{Outputs, StepOutput};
use crate::job::Job;
use crate::plan::Delivered;

impl Ending<'_> {
    /// The snapshot has one copy more.
    pub(super) async fn exported(
        &self,
        batch: &mut Batch,
        job: &mut Job,
        snapshot: SnapshotId,
        step: &str,
    ) -> Result<()> {
        let delivered = self.delivered(step)?;
        let row = self.store.catalogue.get(snapshot).await?;
        let mut to = row.snapshot.clone();
        for (part, digest) in to.parts.iter_mut().zip(delivered.digests) {
            part.digest.get_or_insert(digest);
        }
        to.exports.push(Exported {
            archive: delivered.archive,
            size: delivered.size,
            root: delivered.root,
            at: self.at,
            job: job.id,
        });
        self.author(job.id).update(batch, &row, &to)?;
        job.snapshot = Some(snapshot);
        Ok(())
    }

    /// The snapshot is listed; where it is already, its archive is.
    pub(super) async fn imported(
        &self,
        batch: &mut Batch,
        job: &mut Job,
        entry: &Snapshot,
    ) -> Result<()> {
        let mut entry = entry.clone();
        for found in &mut entry.exports {
            (found.at, found.job) = (self.at, job.id);
        }
        job.snapshot = Some(entry.id);
        match self.store.catalogue.get(entry.id).await {
            Ok(row) => {
                let mut to = row.snapshot.clone();
                let known =
                    |found: &Exported| row.snapshot.exports.iter().any(|it| same(it, found));
                to.exports
                    .extend(entry.exports.into_iter().filter(|it| !known(it)));
                self.author(job.id).update(batch, &row, &to)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.author(job.id).insert(batch, &entry)
            }
            Err(error) => Err(error),
        }
    }

    fn delivered(&self, step: &str) -> Result<Delivered> {
        let wrong = || {
            let message = format!("step {step} did not say what it delivered");
            Error::new(ErrorKind::Internal, message).advise("Report the job's plan and journal")
        };
        match Outputs::output(self.machine, step) {
            Some(StepOutput::Custom(value)) => {
                serde_json::from_value(value.clone()).map_err(|source| wrong().because(source))
            }
            _ => Err(wrong()),
        }
    }
}

fn same(one: &Exported, other: &Exported) -> bool {
    one.archive == other.archive && one.root == other.root
}
