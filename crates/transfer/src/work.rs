//! The steps of exports, imports and restores: each may be begun again at any time under its key,
//! and finds what it had done.

mod deliver;
mod entry;
mod fetch;
mod fill;
mod pack;
mod prove;
mod validate;
mod verify;
mod volume;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, ResourceRef, Result, Snapshot};
use stillpoint_engine::background::{Failed, Line, blocking};
use stillpoint_engine::{Action, CustomWork, Source};
use stillpoint_iaas::{OperationKey, Provider, VolumeBytes};

use crate::place::{ArchiveRef, Shelf};
use crate::request::NAME;
use crate::staging::{Entered, Staging};
use crate::vault::Vault;

/// What a step does, as data.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Put the staged archive on its shelf, never over another.
    Deliver { shelf: Shelf, stem: String },
    /// Stage an archive of a depot.
    Fetch { archive: ArchiveRef, root: Digest },
    /// Write a part of an archive into a new volume.
    Fill {
        archive: ArchiveRef,
        root: Digest,
        part: usize,
    },
    /// Write a snapshot to a staged archive.
    Pack {
        shelf: Shelf,
        snapshot: Box<Snapshot>,
        seal_for: Vec<String>,
    },
    /// Read the staged archive back: its volumes have the digests that it says and these.
    Prove {
        shelf: Shelf,
        digests: Vec<Option<Digest>>,
    },
    /// Remove what was staged.
    Tidy { shelf: Shelf },
    /// Hold a filled volume against the digest of its part.
    Validate { size: u64, digest: Digest },
    /// Read an archive back: nothing in it was changed.
    Verify {
        archive: ArchiveRef,
        root: Digest,
        /// Whether it was fetched, where it is in a depot.
        fetched: bool,
    },
    /// Remove what was delivered.
    Withdraw { shelf: Shelf, stem: String },
}

/// What work is done with.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) providers: BTreeMap<String, Arc<dyn Provider>>,
    pub(crate) vault: Vault,
}

/// A piece of work under way.
struct Task {
    bench: Arc<Bench>,
    job: String,
    inputs: Vec<ResourceRef>,
    line: Line,
}

impl Work {
    /// The step's action, with what it needs of earlier steps and the bytes it moves.
    pub(crate) fn action(&self, inputs: Vec<Source>, bytes: u64) -> Action {
        Action::Custom {
            executor: NAME.to_owned(),
            body: serde_json::to_value(self).expect("plain data with text for keys"),
            inputs,
            bytes,
        }
    }

    /// Reads the action back.
    pub(crate) fn of(work: &CustomWork) -> Result<Self> {
        serde_json::from_value(work.body.clone()).map_err(|source| {
            Error::new(ErrorKind::Corrupt, "a step's work cannot be read")
                .advise("If a later version made the plan, use that")
                .because(source)
        })
    }

    /// Does it, or finds it done.
    pub(crate) async fn run(
        self,
        bench: Arc<Bench>,
        key: OperationKey,
        inputs: Vec<ResourceRef>,
        line: Line,
    ) -> Result<Value, Failed> {
        // All keys of a job begin with its id.
        let job = key
            .as_str()
            .split('.')
            .next()
            .unwrap_or_default()
            .to_owned();
        let task = Task {
            bench,
            job,
            inputs,
            line,
        };
        match self {
            Self::Deliver { shelf, stem } => task.deliver(&shelf, &stem).await,
            Self::Fetch { archive, root } => task.fetch(&archive, root).await,
            Self::Fill {
                archive,
                root,
                part,
            } => Ok(task.fill(&archive, root, part).await?),
            Self::Pack {
                shelf,
                snapshot,
                seal_for,
            } => task.pack(&shelf, *snapshot, &seal_for).await,
            Self::Prove { shelf, digests } => Ok(task.prove(&shelf, digests).await?),
            Self::Tidy { shelf } => Ok(task.tidy(&shelf).await?),
            Self::Validate { size, digest } => Ok(task.validate(size, digest).await?),
            Self::Verify {
                archive,
                root,
                fetched,
            } => Ok(task.verify(&archive, root, fetched).await?),
            Self::Withdraw { shelf, stem } => Ok(task.withdraw(&shelf, &stem).await?),
        }
    }
}

impl Task {
    fn staging(&self, shelf: &Shelf) -> Result<Staging> {
        Ok(Staging::of(&self.job, &self.bench.vault.staging(shelf)?))
    }

    /// Enters the staging folder. One in which an earlier attempt is still at work is left alone:
    /// that attempt removes what it leaves.
    async fn enter(&self, staging: &Staging) -> Result<Entered, Failed> {
        let entering = staging.clone();
        match blocking(move || entering.enter()).await {
            Ok(entered) => Ok(entered),
            Err(error) if error.kind() == ErrorKind::Busy => Err(Failed::leaving(error, false)),
            Err(error) => Err(self.give_up(staging, error).await),
        }
    }

    /// Removes what a step that failed had staged.
    async fn give_up(&self, staging: &Staging, error: Error) -> Failed {
        let staging = staging.clone();
        let left = blocking(move || staging.remove()).await.is_err();
        Failed::leaving(error, left)
    }

    /// What the archive of this job is called.
    fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.job)
    }

    /// Where the bytes of an archive are: one of a depot was fetched before.
    fn path(&self, archive: &ArchiveRef) -> Result<PathBuf> {
        Ok(match archive {
            ArchiveRef::Depot { depot, .. } => {
                self.staging(&Shelf::Depot(depot.clone()))?.archive()
            }
            ArchiveRef::File(path) => path.clone(),
        })
    }

    async fn tidy(&self, shelf: &Shelf) -> Result<Value> {
        let staging = self.staging(shelf)?;
        blocking(move || staging.remove()).await?;
        Ok(Value::Null)
    }

    /// The volume that an earlier step made.
    fn volume(&self) -> Result<&ResourceRef> {
        self.inputs.first().ok_or_else(|| {
            let message = "the step was given no volume";
            Error::new(ErrorKind::Internal, message).advise("Report the job's plan and journal")
        })
    }

    fn provider(&self, name: &str) -> Result<&Arc<dyn Provider>> {
        self.bench.providers.get(name).ok_or_else(|| {
            let message = format!("there is no provider `{name}`");
            Error::new(ErrorKind::NotFound, message).advise("Register it with the builder")
        })
    }
}

/// The bytes that a provider gives access to.
pub(crate) fn bytes_of(provider: &dyn Provider) -> Result<&dyn VolumeBytes> {
    provider.bytes().ok_or_else(|| {
        let message = format!("provider {provider} gives no access to bytes");
        Error::new(ErrorKind::Unsupported, message)
            .advise("Transfers need a provider that lets volumes be read and written")
    })
}
