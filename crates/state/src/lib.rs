//! Everything durable of Stillpoint, written once above four verbs.
//!
//! ```
//! use std::sync::Arc;
//! use stillpoint_core::ErrorKind;
//! use stillpoint_state::{Batch, Guard, Memory, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//!
//! let mut first = Batch::new();
//! first.put("greeting", Guard::Absent, "hello");
//! let committed = state.commit(first).await?;
//!
//! let mut late = Batch::new();
//! late.put("greeting", Guard::Absent, "hullo");
//! let refused = state.commit(late).await.unwrap_err();
//! assert_eq!(refused.kind(), ErrorKind::Conflict);
//!
//! let entry = state.get("greeting").await?.unwrap();
//! assert_eq!(entry.value, "hello");
//! assert_eq!(entry.version, committed.revision);
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! No queries, no secondary indexes, no transactions over several calls, no expiry by itself: a
//! [`State`] is ordered keys and guarded [`Batch`]es, which PostgreSQL, etcd, a file and a map can
//! all be. It reads no clock: where an instant matters it is an argument. It keeps no old values:
//! who needs history writes it, as a [`journal`] does. It encrypts nothing: put no secret into a
//! value, or keep the state on a disk that is encrypted.
//!
//! # Keeping it somewhere
//!
//! - [`Memory`] dies with its value: for tests.
//! - `Redb` (feature `redb`) is one file that one process writes: the embedded default. Each
//!   commit is on the disk when it returns, and many at once share one `fsync`. Its page says what
//!   happens on a full disk, a damaged file, a failed `fsync` and a second process.
//!
//! # Changing several things at once
//!
//! What must happen together goes into one [`Batch`], and each part of a program adds its own:
//! the record of a [`journal`], the guard of a [`lease`], the [claims] of a job, the rows
//! of the [`catalogue`]. A batch names at most [`MAX_BATCH_KEYS`] keys and has at most
//! [`MAX_BATCH_BYTES`] bytes, in every implementation.
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use jiff::Timestamp;
//! # use stillpoint_core::JobId;
//! use stillpoint_state::claims::{Claims, Subject};
//! use stillpoint_state::journal::Journal;
//! use stillpoint_state::lease::Leases;
//! # use stillpoint_state::{Batch, Memory, State};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint_core::Result<()> {
//! # let state: Arc<dyn State> = Arc::new(Memory::new());
//! # let now = Timestamp::from_second(1_000).unwrap();
//! # let job = JobId::new(now, [0; 10]);
//! let leases = Leases::new(Arc::clone(&state));
//! let lease = leases.acquire("engine", "node-a", now, Duration::from_secs(30)).await?;
//!
//! let target = Subject::Resource("prod/instance/web-1".parse()?);
//! let mut batch = Batch::new();
//! Claims::new(Arc::clone(&state)).take(&mut batch, &target, job).await?;
//! Journal::new(Arc::clone(&state), job).append(&mut batch, &lease, 0, b"requested");
//! state.commit(batch).await?; // all of it, or none
//! # Ok(())
//! # }
//! ```
//!
//! # Changing what was read
//!
//! Read, keep the [version](Entry::version), and write with [`Guard::At`] it. If somebody was
//! faster the commit is refused with `Conflict`, nothing is changed, and [`Conflict::of`] says
//! where: read again and build the batch anew.
//!
//! # Waiting for a change
//!
//! [`State::changed`] takes the [`Revision`] of what was read, so nothing that happens between the
//! reading and the waiting is missed.
//!
//! # After an error
//!
//! Ask [`world()`](stillpoint_core::Error::world). `Untouched`: the batch was not made and never
//! will be. `Unknown`: it may be found whole, or never; with guards it can be committed again
//! safely.
//!
//! # Keys in use
//!
//! | Key | Value | By |
//! |---|---|---|
//! | `audit/<id>/<replaced>.<instant>` | a change of a snapshot | [`catalogue`] |
//! | `claim/resource/<ref>`, `claim/snapshot/<id>` | who claims it | [`claims`] |
//! | `expiry/<instant>/<id>` | nothing: the snapshot expires then | [`catalogue`] |
//! | `job/<id>/journal/<seq>` | a framed record | [`journal`] |
//! | `lease/<name>/holder`, `lease/<name>/until` | who, and how long | [`lease`] |
//! | `snapshot/<id>` | a snapshot | [`catalogue`] |
//!
//! Everything else is free; begin keys of your own with a word of your own.
//!
//! # Writing another implementation
//!
//! Read a batch with [`Batch::into_operations`], which refuses what is over a limit; refuse failed
//! guards with [`Conflict::check`]; and run the `conformance` feature's kit, which tests what this
//! page and [`State`] promise.
//!
//! # Features
//!
//! - `redb`: the state in a file, with the crate of that name.
//! - `conformance`: the kit, for tests; needs tokio's threads and timers.
//!
//! Both are off by default, and neither changes what the rest does.

mod batch;
pub mod catalogue;
mod changes;
pub mod claims;
mod codec;
mod conflict;
#[cfg(feature = "conformance")]
pub mod conformance;
mod entry;
pub mod journal;
mod key;
pub mod lease;
mod memory;
#[cfg(feature = "redb")]
mod redb;
mod scan;
mod state;

pub use crate::batch::{Batch, Guard, MAX_BATCH_BYTES, MAX_BATCH_KEYS, Operation, Write};
pub use crate::conflict::{Conflict, Refusal};
pub use crate::entry::{Committed, Entry, Revision};
pub use crate::key::{MAX_KEY_BYTES, prefix_end};
pub use crate::memory::Memory;
#[cfg(feature = "redb")]
pub use crate::redb::Redb;
pub use crate::scan::Scan;
pub use crate::state::{State, StateExt};
