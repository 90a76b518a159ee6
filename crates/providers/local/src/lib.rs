//! Volumes as raw files in a folder.

mod bytes;
mod claims;
mod commit;
mod copy;
mod delete;
mod durable;
mod entity;
mod extents;
#[cfg_attr(feature = "failpoint", doc(hidden))]
#[cfg(feature = "failpoint")]
pub mod failpoint;
#[cfg(not(feature = "failpoint"))]
mod failpoint;
mod failure;
mod folder;
mod freezer;
mod freezes;
mod ids;
mod image;
mod instance;
mod inventory;
mod jobs;
mod labels;
mod local;
mod lock;
mod make;
mod operations;
mod provider;
mod record;
mod recovery;
mod sessions;
mod source;
mod stamp;
mod take;
mod volume;
mod writers;

pub use crate::freezer::Freezer;
pub use crate::provider::LocalProvider;
