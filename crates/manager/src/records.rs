//! The list of a manager's archives, and where each stands.
//!
//! A record changes from state to state by compare-and-swap, and never in another way than
//! [`RecordState::may_become`] says. Who is making one says again and again that it still is; where
//! that ends, [`Records::sweep`] marks the record as failed.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_engine::Clock;
use stillpoint_state::{Batch, Entry, Guard, Revision, State, StateExt as _};

/// For how long a record is taken to be worked on after its holder said so.
pub const LEASE: Duration = Duration::from_secs(60);

/// The holder of a record that nobody works on yet.
const ASKED: &str = "asked";

const PREFIX: &str = "manager/record/";

/// One archive of a manager.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Its id, which is never given to other content.
    pub id: String,
    /// Where it stands.
    pub state: RecordState,
    /// Why it failed, where it did.
    #[serde(default)]
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Bytes of the archive, once it is whole.
    #[serde(default)]
    pub size: Option<u64>,
    /// Who is working on it.
    #[serde(default)]
    pub holder: Option<String>,
    /// Until when that was last said.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// What is captured of what is captured only where that is asked for.
    #[serde(default)]
    pub with: Vec<String>,
    /// Whatever else its owner wants to know of it.
    #[serde(default)]
    pub notes: serde_json::Value,
}

/// Where an archive stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecordState {
    /// Somebody stopped its creation.
    Cancelled,
    /// It was found not to be what was written.
    Corrupt,
    /// It was made here, is whole and was read back.
    Created,
    /// It is being made.
    Creating,
    /// It is being deleted.
    Deleting,
    /// It could not be made, or brought here.
    Failed,
    /// It was made elsewhere, is whole and was read.
    Uploaded,
    /// It is being brought here.
    Uploading,
    /// It is being read.
    Verifying,
}

/// The records of a manager, in its state.
#[derive(Clone, Debug)]
pub struct Records {
    state: Arc<dyn State>,
}

impl Record {
    /// One in this state, worked on by this holder from now on.
    pub fn new(id: &str, state: RecordState, holder: &str, now: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            state,
            error: None,
            created_at: now,
            size: None,
            holder: Some(holder.to_owned()),
            until: Some(now + LEASE),
            with: Vec::new(),
            notes: serde_json::Value::Null,
        }
    }

    /// One of a capture that will be started under this name, and then takes it over: for whoever
    /// has something to say of it before, such as what to capture [besides](Self::with).
    pub fn asked(id: &str, now: Timestamp) -> Self {
        Self::new(id, RecordState::Creating, ASKED, now)
    }
}

impl RecordState {
    /// Whether there is a way from this state to that one.
    pub fn may_become(self, next: Self) -> bool {
        use RecordState::{
            Cancelled, Corrupt, Created, Creating, Deleting, Failed, Uploaded, Uploading, Verifying,
        };
        match self {
            Creating => matches!(next, Verifying | Failed | Cancelled),
            Uploading => matches!(next, Verifying | Failed | Cancelled),
            Verifying => matches!(next, Created | Uploaded | Failed | Cancelled),
            Created | Uploaded => matches!(next, Corrupt | Deleting),
            Cancelled | Corrupt | Failed => next == Deleting,
            // What was not deleted after all can be tried again.
            Deleting => next == Deleting,
        }
    }

    /// Whether it may be downloaded and restored from.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Created | Self::Uploaded)
    }

    /// Whether somebody is working on it.
    pub fn is_in_work(self) -> bool {
        matches!(self, Self::Creating | Self::Uploading | Self::Verifying)
    }
}

impl Records {
    /// Those that are kept in this state.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state }
    }

    /// The record of that id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; those of the state.
    pub async fn get(&self, id: &str) -> Result<Record> {
        Ok(self.read(id).await?.0)
    }

    /// All records, by id.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn list(&self) -> Result<Vec<Record>> {
        let found = self.state.scan_prefix(PREFIX).await?.collect().await?;
        found.iter().map(decode).collect()
    }

    /// Begins a record. Begun already by this holder is a success, and gives it as it is; where it
    /// failed, this is another try. One that was only [asked for](Record::asked) is taken over.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where the id is taken; those of the state.
    pub async fn begin(&self, record: Record) -> Result<Record> {
        let mut batch = Batch::new();
        batch.put(key(&record.id), Guard::Absent, encode(&record));
        match self.state.commit(batch).await {
            Ok(_) => Ok(record),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let (mut found, version) = self.read(&record.id).await?;
                if found.holder.is_some() && found.holder == record.holder {
                    if found.state == RecordState::Failed && record.state.is_in_work() {
                        (found.state, found.until) = (record.state, record.until);
                        found.error = None;
                        self.write(&found, version).await?;
                    }
                    return Ok(found);
                }
                if found.holder.as_deref() == Some(ASKED) && found.state == record.state {
                    (found.holder, found.until) = (record.holder, record.until);
                    self.write(&found, version).await?;
                    return Ok(found);
                }
                let message = format!("there is a snapshot `{}` already", record.id);
                Err(Error::new(ErrorKind::Conflict, message).advise("Choose another id"))
            }
            Err(error) => Err(error),
        }
    }

    /// Says again and again that this holder works on a record; returns only where that is not so.
    pub(crate) async fn keep(&self, id: &str, holder: &str, clock: &dyn Clock) -> Error {
        loop {
            clock.sleep(LEASE / 3).await;
            match self.renew(id, holder, clock.now()).await {
                Err(error) if error.kind() == ErrorKind::Conflict => return error,
                Err(error) => tracing::debug!(id, %error, "could not renew"),
                Ok(()) => {}
            }
        }
    }

    /// Moves a record on, with whatever `change` does besides. There already, with this holder, is a
    /// success.
    ///
    /// # Errors
    /// [`ErrorKind::Precondition`] where there is no way to that state; [`ErrorKind::NotFound`];
    /// those of the state.
    pub async fn advance(
        &self,
        id: &str,
        next: RecordState,
        change: impl Fn(&mut Record) + Send + Sync,
    ) -> Result<Record> {
        loop {
            let (mut record, version) = self.read(id).await?;
            if record.state != next && !record.state.may_become(next) {
                let message = format!(
                    "snapshot `{id}` is {}, and that never becomes {}",
                    record.state.word(),
                    next.word()
                );
                return Err(Error::new(ErrorKind::Precondition, message)
                    .advise("Look how it stands, and ask again"));
            }
            record.state = next;
            change(&mut record);
            if !next.is_in_work() {
                record.until = None;
            }
            match self.write(&record, version).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                written => return written.map(|()| record),
            }
        }
    }

    /// Says that its holder still works on it.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where it is another's by now; those of the state.
    pub async fn renew(&self, id: &str, holder: &str, now: Timestamp) -> Result<()> {
        let (mut record, version) = self.read(id).await?;
        if record.holder.as_deref() != Some(holder) || !record.state.is_in_work() {
            let message = format!("snapshot `{id}` is no longer worked on by this job");
            return Err(Error::new(ErrorKind::Conflict, message).advise("Start it again"));
        }
        record.until = Some(now + LEASE);
        self.write(&record, version).await
    }

    /// Marks what nobody works on any more as failed, and gives the ids.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn sweep(&self, now: Timestamp) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        for record in self.list().await? {
            let over = |record: &Record| {
                record.state.is_in_work() && record.until.is_none_or(|until| until < now)
            };
            if !over(&record) {
                continue;
            }
            let (mut record, version) = match self.read(&record.id).await {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if !over(&record) {
                continue;
            }
            record.state = RecordState::Failed;
            record.error = Some("abandoned: whoever worked on it is gone".to_owned());
            match self.write(&record, version).await {
                Ok(()) => swept.push(record.id),
                // Its holder was faster.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    /// Takes a record off the list; none is a success.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(key(id), Guard::Any);
        self.state.commit(batch).await.map(drop)
    }

    async fn read(&self, id: &str) -> Result<(Record, Revision)> {
        let found: Option<Entry> = self.state.get(&key(id)).await?;
        let entry = found.ok_or_else(|| {
            let message = format!("there is no snapshot `{id}`");
            Error::new(ErrorKind::NotFound, message).advise("List what there is")
        })?;
        Ok((decode(&entry)?, entry.version))
    }

    async fn write(&self, record: &Record, version: Revision) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key(&record.id), Guard::At(version), encode(record));
        self.state.commit(batch).await.map(drop)
    }
}

impl RecordState {
    /// The state in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Corrupt => "corrupt",
            Self::Created => "created",
            Self::Creating => "creating",
            Self::Deleting => "deleting",
            Self::Failed => "failed",
            Self::Uploaded => "uploaded",
            Self::Uploading => "uploading",
            Self::Verifying => "verifying",
        }
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("plain data with text for keys")
}

fn decode(entry: &Entry) -> Result<Record> {
    serde_json::from_slice(&entry.value).map_err(|source| {
        Error::new(
            ErrorKind::Corrupt,
            "the record of a snapshot cannot be read",
        )
        .advise("Put back a copy of the state")
        .because(source)
    })
}
