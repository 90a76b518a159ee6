//! Claims: which job works on what, so that no two work on one thing.
//!
//! A job claims everything it touches in the batch that makes it durable, and releases it in the
//! batch that ends it. What it changes or deletes it claims *exclusively*; what must merely stay
//! as it is (the snapshot it restores from, the safety snapshot it may have to go back to) it
//! *shares*.
//!
//! ```
//! use std::sync::Arc;
//! use jiff::Timestamp;
//! use stillpoint_core::{ErrorKind, JobId, SnapshotId};
//! use stillpoint_state::claims::{Claims, Subject};
//! use stillpoint_state::{Batch, Memory, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! # let now = Timestamp::from_second(1_000).unwrap();
//! # let (restore, prune) = (JobId::new(now, [1; 10]), JobId::new(now, [2; 10]));
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//! let claims = Claims::new(Arc::clone(&state));
//! let snapshot = Subject::Snapshot(SnapshotId::new(now, [0; 10]));
//!
//! let mut batch = Batch::new();
//! claims.share(&mut batch, &snapshot, restore).await?;
//! state.commit(batch).await?;
//!
//! let busy = claims.take(&mut Batch::new(), &snapshot, prune).await.unwrap_err();
//! assert_eq!(busy.kind(), ErrorKind::Busy);
//! assert!(busy.to_string().contains(&restore.to_string()));
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, JobId, ResourceRef, Result, SnapshotId};

use crate::batch::{Batch, Guard};
use crate::codec;
use crate::state::{State, StateExt};

const SNAPSHOTS: &str = "claim/snapshot/";

/// Reads claims, and adds them to batches.
#[derive(Clone, Debug)]
pub struct Claims {
    state: Arc<dyn State>,
}

/// What can be claimed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// Something a provider has.
    Resource(ResourceRef),
    /// A snapshot of the catalogue, whatever parts it has.
    Snapshot(SnapshotId),
}

/// Who claims a subject.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// The job that has it for itself.
    pub exclusive: Option<JobId>,
    /// The jobs that need it to stay as it is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub shared: BTreeSet<JobId>,
}

impl Claims {
    /// The claims kept in this state.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// Who claims it now.
    ///
    /// # Errors
    ///
    /// Those of the [`State`].
    pub async fn get(&self, subject: &Subject) -> Result<Claim> {
        Ok(self.read(subject).await?.0)
    }

    /// All snapshots that somebody claims.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a claim cannot be read. Those of the [`State`].
    pub async fn snapshots(&self) -> Result<BTreeMap<SnapshotId, Claim>> {
        let mut scan = self.state.scan_prefix(SNAPSHOTS).await?;
        let mut claims = BTreeMap::new();
        while let Some(entry) = scan.try_next().await? {
            let id = entry.key[SNAPSHOTS.len()..].parse()?;
            claims.insert(id, codec::decode(&entry)?);
        }
        Ok(claims)
    }

    /// Adds an exclusive claim to the batch. A job that shares it already, alone, may.
    ///
    /// A claim made since is a `Conflict` when the batch is committed: build it anew.
    ///
    /// # Errors
    ///
    /// `Busy` naming the job while another has any claim. Those of the [`State`].
    pub async fn take(&self, batch: &mut Batch, subject: &Subject, job: JobId) -> Result<()> {
        let (claim, guard) = self.read(subject).await?;
        if let Some(other) = claim.jobs().find(|other| *other != job) {
            return Err(busy(subject, other));
        }
        let taken = Claim {
            exclusive: Some(job),
            ..claim.clone()
        };
        add(batch, subject, guard, &claim, &taken)
    }

    /// Adds a shared claim to the batch. A job that has it exclusively shares it already.
    ///
    /// A claim made since is a `Conflict` when the batch is committed: build it anew.
    ///
    /// # Errors
    ///
    /// `Busy` naming the job while another has an exclusive claim. Those of the [`State`].
    pub async fn share(&self, batch: &mut Batch, subject: &Subject, job: JobId) -> Result<()> {
        let (claim, guard) = self.read(subject).await?;
        if let Some(other) = claim.exclusive.filter(|other| *other != job) {
            return Err(busy(subject, other));
        }
        let mut shared = claim.clone();
        if claim.exclusive.is_none() {
            shared.shared.insert(job);
        }
        add(batch, subject, guard, &claim, &shared)
    }

    /// Adds to the batch that the job claims this no longer; nothing where it does not.
    ///
    /// # Errors
    ///
    /// Those of the [`State`].
    pub async fn release(&self, batch: &mut Batch, subject: &Subject, job: JobId) -> Result<()> {
        let (claim, guard) = self.read(subject).await?;
        let mut left = claim.clone();
        left.shared.remove(&job);
        left.exclusive = left.exclusive.filter(|holder| *holder != job);
        if left == claim {
            return Ok(());
        }
        if left == Claim::default() {
            batch.delete(key(subject), guard);
            return Ok(());
        }
        add(batch, subject, guard, &claim, &left)
    }

    async fn read(&self, subject: &Subject) -> Result<(Claim, Guard)> {
        match self.state.get(&key(subject)).await? {
            Some(entry) => Ok((codec::decode(&entry)?, Guard::At(entry.version))),
            None => Ok((Claim::default(), Guard::Absent)),
        }
    }
}

impl Claim {
    /// All jobs that claim it, in whatever way.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.exclusive
            .into_iter()
            .chain(self.shared.iter().copied())
    }
}

/// Also what changes nothing is guarded: it must still be so when the batch is committed.
fn add(
    batch: &mut Batch,
    subject: &Subject,
    guard: Guard,
    before: &Claim,
    after: &Claim,
) -> Result<()> {
    if before == after {
        batch.require(key(subject), guard);
    } else {
        batch.put(key(subject), guard, codec::encode(after)?);
    }
    Ok(())
}

fn busy(subject: &Subject, job: JobId) -> Error {
    let error = Error::new(ErrorKind::Busy, format!("job {job} works with {subject}"))
        .advise("Wait for that job, or stop it");
    match subject {
        Subject::Resource(resource) => error.on(resource.clone()),
        Subject::Snapshot(_) => error,
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(resource) => resource.fmt(f),
            Self::Snapshot(id) => write!(f, "snapshot {id}"),
        }
    }
}

fn key(subject: &Subject) -> String {
    match subject {
        Subject::Resource(resource) => format!("claim/resource/{resource}"),
        Subject::Snapshot(id) => format!("{SNAPSHOTS}{id}"),
    }
}
