//! Snapshot archives.

mod chunk;
pub mod cloudify;
mod deflate;
mod digest;
mod error;
mod extract;
mod limits;
mod manifest;
mod name;
mod pool;
mod progress;
mod read;
mod refusal;
mod seal;
mod stream;
mod verify;
mod write;
mod zip;

pub use digest::Digest;
pub use error::{Error, Result};
pub use extract::{ExtractOptions, Extracted, extract};
pub use limits::Limits;
pub use manifest::{Class, FORMAT_VERSION, Profile};
pub use progress::{Cancel, Progress, Watch};
pub use read::{Archive, EntryReader, EntryView, OpenOptions, ReadAt, Strictness};
pub use refusal::Refusal;
pub use seal::{Identity, Passphrase, PublicKey, Recipient, SecretKey};
pub use stream::verify_stream;
pub use verify::{Assurance, Level as VerifyLevel, Report, verify};
pub use write::{
    Created, EntryOptions, EntryWriter, Finished, Level, Metadata, Packing, TreeOptions,
    WriteOptions, Writer, create,
};
pub use zip::{Forgivable, Kind, Method};
