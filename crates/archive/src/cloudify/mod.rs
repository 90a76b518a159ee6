//! Snapshot archives of Cloudify Managers, 3.2 to 7.1, as one [`Snapshot`] with typed access.
//!
//! ```
//! use stillpoint_archive::cloudify::{Era, Snapshot};
//! use stillpoint_archive::{OpenOptions, Strictness};
//!
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cloudify/cloudify-5.0.5.zip");
//! // Old managers ran writers that only a lenient reader takes.
//! let archive = OpenOptions::new().strictness(Strictness::Lenient).open(path)?;
//! let snapshot = Snapshot::of(&archive)?;
//! assert_eq!(snapshot.era(), Era::C);
//! assert_eq!(snapshot.metadata().snapshot_version, "5.0.5");
//! for agent in snapshot.agents()? {
//!     println!("{} in {:?} talks to {:?}", agent.instance, agent.tenant, agent.broker.addresses);
//! }
//! # Ok::<(), stillpoint_archive::Error>(())
//! ```
//!
//! The managers changed the layout four times and never gave it a version. An [`Era`] is told by
//! what is there, never by what is missing; what fits none is an error. [`Snapshot::migrated`]
//! gives the same snapshot in the layout of a later era, as far as that can be done without a
//! database: `A` to `C` and `D` to `E`.

mod agents;
mod compat;
mod documents;
mod era;
mod files;
mod metadata;
mod migrate;
mod secrets;
mod snapshot;

pub use agents::{Agent, Broker};
pub use compat::{CompatOptions, compat_warnings, write_compat};
pub use documents::{AdminAccount, Blob, Entities, Networks};
pub use era::Era;
pub use files::Files;
pub use metadata::SnapshotMetadata;
pub use secrets::class_of;
pub use snapshot::Snapshot;
