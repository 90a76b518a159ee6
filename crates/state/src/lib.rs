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
//! all be. It reads no clock: where an instant matters it is an argument.

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
