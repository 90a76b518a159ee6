//! Writing: [`Writer`] takes entries in order, packs them on all cores and ends with the manifest.

mod batch;
mod entry;
mod file;
mod jobs;
mod metadata;
mod options;
mod output;
mod pages;
mod sink;
mod trail;
mod tree;
mod writer;

pub use entry::EntryWriter;
pub use file::{Created, create};
pub use metadata::Metadata;
pub use options::{EntryOptions, Level, Packing, WriteOptions};
pub use tree::TreeOptions;
pub use writer::{Finished, Writer};
