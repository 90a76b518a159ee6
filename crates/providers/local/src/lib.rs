//! Volumes as raw files in a folder.

mod claims;
mod commit;
mod copy;
mod create;
mod delete;
mod durable;
mod entity;
mod extents;
mod failpoint;
mod failure;
mod folder;
mod ids;
mod instance;
mod inventory;
mod jobs;
mod labels;
mod local;
mod lock;
mod operations;
mod provider;
mod record;
mod recovery;
mod source;
mod stamp;
mod take;
mod writers;

pub use crate::provider::LocalProvider;
