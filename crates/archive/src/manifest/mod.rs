//! `META-INF/MANIFEST.jsonl`: what the archive must hold, entry by entry. FORMAT.md specifies it.

mod plain;
mod read;
mod record;
mod write;

pub(crate) use read::Reader;
pub(crate) use record::{Chunk, Record, Seal};
pub use record::{Class, Profile};
pub(crate) use write::{Manifest, NewLine};

/// The manifest's own name.
pub(crate) const MANIFEST: &str = "META-INF/MANIFEST.jsonl";
/// Room for a signature over the root; not read yet.
pub(crate) const SIGNATURE: &str = "META-INF/MANIFEST.sig";
/// The folder of what describes the archive; no payload goes there.
pub(crate) const META_INF: &str = "META-INF/";
/// The entry every archive starts with.
pub(crate) const METADATA: &str = "metadata.json";
/// The mode of the manifest and of its signature.
pub(crate) const OWN_MODE: u32 = 0o644;
/// The mode of wrapped keys.
pub(crate) const KEYS_MODE: u32 = 0o600;
/// `component` of entries that the archive writer itself made.
pub(crate) const OWN: &str = "archive";

/// The format this crate writes.
pub const FORMAT_VERSION: &str = "1.0.0";
/// The oldest reader that can read it.
pub(crate) const MIN_READER: &str = "1.0.0";
/// `format` in the header.
pub(crate) const FORMAT: &str = "stillpoint";
/// Bytes a line may have.
pub(crate) const MAX_LINE: u64 = 64 << 10;
/// Chunks on one line.
pub(crate) const CHUNKS_A_LINE: usize = 512;
