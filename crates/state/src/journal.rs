//! Journals: what a job has done and is about to do, in order, never changed.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use jiff::Timestamp;
//! use stillpoint_core::JobId;
//! use stillpoint_state::journal::Journal;
//! use stillpoint_state::lease::Leases;
//! use stillpoint_state::{Batch, Guard, Memory, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! # let now = Timestamp::from_second(1_000).unwrap();
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//! let lease = Leases::new(Arc::clone(&state))
//!     .acquire("engine", "node-a", now, Duration::from_secs(30))
//!     .await?;
//! let journal = Journal::new(Arc::clone(&state), JobId::new(now, [0; 10]));
//!
//! // Two records, and whatever must be durable with them, in one commit.
//! let mut batch = Batch::new();
//! journal.append(&mut batch, &lease, 0, b"requested");
//! journal.append(&mut batch, &lease, 1, b"fetching");
//! batch.put("job/index", Guard::Any, "…");
//! state.commit(batch).await?;
//!
//! let records = journal.read().await?.collect().await?;
//! assert_eq!(records[1].seq, 1);
//! assert_eq!(records[1].bytes, b"fetching"[..]);
//! # Ok(())
//! # }
//! ```
//!
//! # Format
//!
//! A record is stored under `job/<id>/journal/<seq>`, the number in twenty digits so that keys
//! sort by it. Its value is one byte with the version of the frame (1), four bytes of CRC-32 (IEEE
//! 802.3, little-endian) and the record. The checksum is over the version, the sixteen bytes of
//! the job's id, the eight of the number (big-endian) and the record: so a record that is cut,
//! changed *or in the wrong place* is found. Later versions keep this header, so that a version
//! that is not known is told from one that is changed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::TryStreamExt;
use stillpoint_core::{Error, ErrorKind, JobId, Result};

use crate::batch::{Batch, Guard};
use crate::entry::{Entry, Revision};
use crate::lease::Lease;
use crate::scan::Scan;
use crate::state::{State, StateExt};

const VERSION: u8 = 1;
const HEADER: usize = 5;

/// The journal of one job.
#[derive(Clone, Debug)]
pub struct Journal {
    state: Arc<dyn State>,
    job: JobId,
}

/// One record of a journal.
#[derive(Clone, Eq, PartialEq)]
pub struct Record {
    /// Its number; the first is 0.
    pub seq: u64,
    /// What was appended.
    pub bytes: Bytes,
}

/// The records of a journal, in their order: a [`Stream`] that ends at the first that is damaged
/// or missing, with an error that names it.
#[must_use = "records are read as they are polled"]
#[derive(Debug)]
pub struct Records {
    scan: Scan,
    job: JobId,
    next: u64,
    failed: bool,
}

impl Journal {
    /// The journal of this job, which may have no records.
    pub fn new(state: Arc<dyn State>, job: JobId) -> Self {
        Self { state, job }
    }

    /// Adds a record to the batch, which is refused if there is one of this number already, or if
    /// the lease is [lost](Lease::is_lost).
    ///
    /// Numbers start at 0 and have no gaps: that is for the caller, who knows what it has
    /// committed; a gap is an error when reading. How much fits into a batch is said by
    /// [`MAX_BATCH_KEYS`](crate::MAX_BATCH_KEYS) and
    /// [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES).
    pub fn append(&self, batch: &mut Batch, lease: &Lease, seq: u64, record: &[u8]) {
        lease.guard(batch);
        let mut framed = BytesMut::with_capacity(HEADER + record.len());
        framed.put_u8(VERSION);
        framed.put_u32_le(checksum(VERSION, self.job, seq, record));
        framed.put_slice(record);
        batch.put(key(self.job, seq), Guard::Absent, framed.freeze());
    }

    /// All records, as of now.
    ///
    /// # Errors
    ///
    /// Those of the [`State`]; from the stream `Corrupt`, which names job and record, where a
    /// record is cut, changed or missing, and `Invalid` where a later version wrote it.
    pub async fn read(&self) -> Result<Records> {
        Ok(Records {
            scan: self.state.scan_prefix(&prefix(self.job)).await?,
            job: self.job,
            next: 0,
            failed: false,
        })
    }
}

impl Records {
    /// The revision of which the journal is read.
    pub fn revision(&self) -> Revision {
        self.scan.revision()
    }

    /// All records at once.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    pub async fn collect(self) -> Result<Vec<Record>> {
        self.try_collect().await
    }

    fn check(&self, entry: Entry) -> Result<Record> {
        let seq = self.next;
        if entry.key != key(self.job, seq) {
            return Err(self.damaged("is missing"));
        }
        let mut bytes = entry.value;
        if bytes.len() < HEADER {
            return Err(self.damaged("is cut"));
        }
        let (version, sum) = (bytes.get_u8(), bytes.get_u32_le());
        if sum != checksum(version, self.job, seq, &bytes) {
            return Err(self.damaged("is cut or changed"));
        }
        if version != VERSION {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "record {seq} of the journal of job {} has version {version}, and this reads \
                     {VERSION}",
                    self.job
                ),
            )
            .advise("Use the version that wrote it"));
        }
        Ok(Record { seq, bytes })
    }

    fn damaged(&self, how: &str) -> Error {
        Error::new(
            ErrorKind::Corrupt,
            format!(
                "record {} of the journal of job {} {how}",
                self.next, self.job
            ),
        )
        .advise(
            "Do not continue this job: check the disk, and put back a copy of the state, or settle \
             the job by hand from the records before this one",
        )
    }
}

impl Stream for Records {
    type Item = Result<Record>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let Some(entry) = ready!(Pin::new(&mut self.scan).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let record = entry.and_then(|entry| self.check(entry));
        self.failed = record.is_err();
        self.next += 1;
        Poll::Ready(Some(record))
    }
}

impl fmt::Debug for Record {
    /// Without what was appended, which is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("seq", &self.seq)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

fn checksum(version: u8, job: JobId, seq: u64, record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(job.as_uuid().as_bytes());
    hasher.update(&seq.to_be_bytes());
    hasher.update(record);
    hasher.finalize()
}

fn prefix(job: JobId) -> String {
    format!("job/{job}/journal/")
}

fn key(job: JobId, seq: u64) -> String {
    format!("job/{job}/journal/{seq:020}")
}
