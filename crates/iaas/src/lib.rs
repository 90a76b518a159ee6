//! The [`Provider`] trait: what Stillpoint asks of anything that has instances, volumes and
//! images, and nothing more.
//!
//! ```
//! use stillpoint_iaas::{Operation, OperationKey};
//!
//! // What is asked is plain data, and every effect has a key that a crash cannot lose.
//! let key: OperationKey = "0192d3b0.take.root".parse()?;
//! let ask = Operation::DeleteVolume { volume: "prod/volume/old".parse()? };
//! assert_eq!(ask.to_string(), "delete prod/volume/old");
//! assert_eq!(key.as_str(), "0192d3b0.take.root");
//! # Ok::<(), stillpoint_core::Error>(())
//! ```
//!
//! # What it does not do
//!
//! A provider never sleeps, retries, polls or journals: `stillpoint-engine` does that once, for
//! all of them. It never decides either: which consistency is good enough, whether to power an
//! instance off and what to undo are the plan's business.
//!
//! # Writing a provider
//!
//! Implement [`Provider`]: eight methods and no default bodies, so that a wrapper cannot lose
//! one. Say in [`Capabilities`] what the system can do and above all how it knows an operation
//! again ([`Identity`]): after `kill -9` there may be a key and no ticket, and
//! [`observe`](Provider::observe) must answer from the key alone.
//!
//! # Reading and writing bytes
//!
//! [`VolumeBytes`] walks the extents of a volume or snapshot and reads and writes ranges;
//! [`content_digest`] proves two of them equal without reading holes.
//!
//! # Using one
//!
//! [`ProviderExt`] has the conveniences: listing into a vector, looking one thing up that may be
//! gone.
//!
//! # Testing one, and testing with one
//!
//! The feature `conformance` has a kit that makes a `#[test]` of every rule a provider keeps;
//! the feature `sim` has a simulated cloud with five personalities, faults and a virtual clock.

mod bytes;
mod capabilities;
#[cfg(feature = "conformance")]
pub mod conformance;
mod content_digest;
mod ext;
mod key;
mod observation;
mod operation;
mod outlook;
mod output;
mod provider;
#[cfg(feature = "sim")]
pub mod sim;

pub use futures_core::stream::BoxStream;

pub use crate::bytes::{Extent, VolumeBytes};
pub use crate::capabilities::{
    Capabilities, FreezeCapability, Identity, Limits, RateLimit, SnapshotCapability,
};
pub use crate::content_digest::{CHUNK, ContentDigester, content_digest};
pub use crate::ext::ProviderExt;
pub use crate::key::{OperationKey, Ticket};
pub use crate::observation::Observation;
pub use crate::operation::{DiskOf, NewDisk, Operation, OperationKind, TakeSnapshot};
pub use crate::outlook::{Outlook, Reverts};
pub use crate::output::{Output, TakenPart, TakenSnapshot};
pub use crate::provider::{Filter, Provider};
