//! The words of Stillpoint: what every other crate speaks of.
//!
//! ```
//! use stillpoint_core::{Consistency, Resource, ResourceKind, ResourceRef};
//!
//! let web: ResourceRef = "prod/instance/web-1".parse()?;
//! assert_eq!(web.provider(), "prod");
//! assert_eq!(web.kind(), ResourceKind::Instance);
//! assert_eq!(web.to_string(), "prod/instance/web-1");
//! assert!(Consistency::Filesystem > Consistency::Crash);
//! # Ok::<(), stillpoint_core::Error>(())
//! ```
//!
//! # What it does not do
//!
//! Nothing here reads a clock, draws a random number, opens a file or talks to a cloud: ids take
//! their instant and their entropy as arguments, and all types are plain values with a documented
//! [serde] form.
//!
//! # Naming things
//!
//! A [`ResourceRef`] names anything a provider has: `provider/kind/id`. A [`SnapshotId`] names an
//! entry of the catalogue and a [`JobId`] a piece of work; both are UUIDs of version 7, so that
//! they sort by the time they were made.
//!
//! # Describing a snapshot
//!
//! A [`Snapshot`] has [`Part`]s (one for each volume it holds) and [`Omission`]s (everything of
//! the source that it does *not* hold). It says which [`Consistency`] was preferred, demanded and
//! reached, and keeps apart that it was *taken* (the provider confirms the point in time) from
//! that it was [`Verified`] (bytes were read back and matched).
//!
//! # Reporting progress
//!
//! [`Progress`] counts bytes where there are bytes and steps elsewhere, and never goes back.
//!
//! # Telling what went wrong
//!
//! One [`Error`] crosses every boundary of a service. It is cheap to clone and opaque; ask its
//! [`kind`](Error::kind), whether a [`retry`](Error::retry) makes sense, and above all what it
//! left of the [`world`](Error::world).

mod byte_size;
mod consistency;
mod digest;
mod error;
mod id;
mod io_error;
mod labels;
mod progress;
mod resource;
mod resource_ref;
mod snapshot;

pub use crate::byte_size::ByteSize;
pub use crate::consistency::{Capture, Consistency, ConsistencyRecord, Memory};
pub use crate::digest::Digest;
pub use crate::error::{Error, ErrorKind, ErrorReport, Result, Retry, World};
pub use crate::id::{JobId, SnapshotId};
pub use crate::labels::Labels;
pub use crate::progress::{Progress, Unit};
pub use crate::resource::{Detail, Disk, Power, Resource};
pub use crate::resource_ref::{ResourceKind, ResourceRef};
pub use crate::snapshot::{
    CopyKind, Exported, Omission, OmissionReason, Part, Snapshot, SnapshotState, Verified,
    VerifyLevel,
};
