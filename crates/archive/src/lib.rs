//! Snapshot archives: a strict, fast ZIP with a manifest, for snapshots of instances, volumes and of a
//! control plane itself. Used alone: no cloud, no async runtime.
//!
//! ```
//! use stillpoint_archive::{
//!     Archive, EntryOptions, ExtractOptions, VerifyLevel, Watch, WriteOptions, create, extract, verify,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("nightly.zip");
//! create(&path, &WriteOptions::new(), |writer| {
//!     writer.bytes("database/dump.sql", "CREATE TABLE t ();", &EntryOptions::new())?;
//!     // Large contents are pushed, holes and all; all cores pack them.
//!     let mut disk = writer.entry("volumes/root.img", &EntryOptions::new())?;
//!     std::io::Write::write_all(&mut disk, b"boot").unwrap();
//!     disk.hole(64 << 20)?;
//!     disk.finish()
//! })?; // flushed, read back and verified: only now it has its name
//!
//! let archive = Archive::open(&path)?;
//! let report = verify(&archive, VerifyLevel::Full, &Watch::none())?;
//! println!("{:?}, root {}", report.assurance, report.root.unwrap());
//! assert_eq!(archive.read_range("volumes/root.img", 0..4)?, b"boot");
//! extract(&archive, folder.path().join("restored"), &ExtractOptions::new(), &Watch::none())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! - No links, devices, owners, extended attributes: files, directories and permission bits.
//! - No changing of an archive. A new one is written.
//! - No deduplication, no increments. An archive is one snapshot, whole.
//! - No ZIP encryption, no multi-disk sets, no methods but stored, DEFLATE and (feature `zstd`) Zstandard.
//! - UNIX only.
//!
//! The format is specified in `FORMAT.md`, beside this crate's `Cargo.toml`, so that a stranger can
//! write a reader.
//!
//! # Writing
//!
//! [`create`] makes a file; [`Writer::stream`] writes to anything that takes bytes. Entries come as
//! bytes, readers, files, [whole folders](Writer::tree), or [pushed](Writer::entry) with holes. They
//! are packed on all cores, large ones too, and written in the order they were added; memory is
//! bounded by the number of workers. [`WriteOptions::deterministic`] makes equal input equal bytes.
//!
//! ```
//! use stillpoint_archive::{TreeOptions, WriteOptions, Writer};
//!
//! let source = tempfile::tempdir()?;
//! std::fs::write(source.path().join("a.yaml"), "name: a")?;
//! let write = || {
//!     let mut archive = Vec::new();
//!     let mut writer = Writer::stream(&mut archive, &WriteOptions::new().deterministic())?;
//!     writer.tree("blueprints", source.path(), TreeOptions::new())?;
//!     writer.finish()?;
//!     Ok::<_, stillpoint_archive::Error>(archive)
//! };
//! assert_eq!(write()?, write()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading
//!
//! [`Archive::open`] checks every header and the manifest before it gives anything, and is strict:
//! what other tools resolve in silence (a name twice, headers that contradict each other, bytes that
//! belong to nothing) is refused. [`OpenOptions`] make it lenient towards
//! [what old writers did](Forgivable), set [limits](Limits), and take keys.
//! [`Archive::read`] gives bytes once they are proven, [`Archive::reader`] streams,
//! [`Archive::read_range`] reads inside of a large entry.
//!
//! ```
//! use stillpoint_archive::{Error, OpenOptions, Refusal};
//!
//! let junk = b"PK and then nothing".to_vec();
//! let refused = OpenOptions::new().open_source(junk).unwrap_err();
//! assert_eq!(refused.refusal(), Some(&Refusal::NoEndRecord));
//! println!("{refused}"); // where, what, and what to do
//! # assert!(matches!(refused, Error::Refused { .. }));
//! ```
//!
//! # Verifying
//!
//! [`verify`] goes as far as a [`VerifyLevel`] says, [`verify_stream`] works on a pipe. The report's
//! [`Assurance`] says what was proven: a ZIP without a manifest is [`Assurance::CrcOnly`], never
//! verified. There are three digests: of the file, of the manifest ([`Archive::root`]) and of the
//! content ([`Report::content_digest`]), which is equal for equal files in any container.
//!
//! ```
//! use stillpoint_archive::{
//!     Assurance, EntryOptions, OpenOptions, Watch, WriteOptions, Writer, verify_stream,
//! };
//!
//! let mut archive = Vec::new();
//! let mut writer = Writer::stream(&mut archive, &WriteOptions::new())?;
//! writer.bytes("pg_data", "COPY nodes FROM stdin;", &EntryOptions::new())?;
//! let root = writer.finish()?.root; // kept elsewhere, it holds against malice too
//!
//! let report = verify_stream(&archive[..], &OpenOptions::new(), &Watch::none())?;
//! assert_eq!((report.assurance, report.root), (Assurance::Verified, Some(root)));
//! archive[60] ^= 1;
//! assert!(verify_stream(&archive[..], &OpenOptions::new(), &Watch::none()).is_err());
//! # Ok::<(), stillpoint_archive::Error>(())
//! ```
//!
//! # Extracting
//!
//! [`extract`] writes into a staging folder, never through a link, never over a file, and names it
//! once everything was proven.
//!
//! ```
//! use stillpoint_archive::{Archive, EntryOptions, ExtractOptions, Watch, WriteOptions, create, extract};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("a.zip");
//! create(&path, &WriteOptions::new(), |writer| {
//!     writer.bytes("plugins/one.wgn", "1", &EntryOptions::new())?;
//!     writer.bytes("pg_data", "2", &EntryOptions::new())
//! })?;
//! let plugins = ExtractOptions::new().only(|path| path.starts_with("plugins/"));
//! let target = folder.path().join("restored");
//! let extracted = extract(&Archive::open(&path)?, &target, &plugins, &Watch::none())?;
//! assert_eq!(extracted.files, 1);
//! assert_eq!(std::fs::read(target.join("plugins/one.wgn"))?, b"1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sealing
//!
//! Entries of [`Class::Secret`] are sealed for the recipients named by
//! [`WriteOptions::seal_for`]: an X25519 key ([`PublicKey`], [`SecretKey`]), a [`Passphrase`], or what
//! implements [`Recipient`]. Anyone can verify the archive; only recipients can read the secrets. A
//! key that is missing or wrong is an error before anything is touched.
//!
//! ```
//! use stillpoint_archive::{Class, EntryOptions, OpenOptions, SecretKey, WriteOptions, Writer};
//!
//! let key = SecretKey::generate();
//! let mut archive = Vec::new();
//! let mut writer = Writer::stream(&mut archive, &WriteOptions::new().seal_for(key.public()))?;
//! writer.bytes("agent_key", "secret", &EntryOptions::new().class(Class::Secret))?;
//! writer.finish()?;
//! let archive = OpenOptions::new().identity(key).open_source(archive)?;
//! assert_eq!(archive.read("agent_key")?, b"secret");
//! # Ok::<(), stillpoint_archive::Error>(())
//! ```
//!
//! # Cloudify Managers
//!
//! [`cloudify`] reads the snapshots of Cloudify Managers from 3.2 to 7.1 and writes those of 7.x.
//!
//! ```
//! use stillpoint_archive::cloudify::{Era, Snapshot};
//! use stillpoint_archive::{OpenOptions, Strictness};
//!
//! # let testdata = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cloudify");
//! let old = format!("{testdata}/cloudify-4.6.0.zip");
//! let archive = OpenOptions::new().strictness(Strictness::Lenient).open(old)?;
//! let snapshot = Snapshot::of(&archive)?;
//! assert_eq!((snapshot.era(), &*snapshot.metadata().snapshot_version), (Era::C, "4.6.0"));
//! # Ok::<(), stillpoint_archive::Error>(())
//! ```
//!
//! # Object storage
//!
//! Feature `depot`: a `Depot` uploads archives so that a cut-off upload goes on and an id is never
//! overwritten, and reads one entry of a remote archive in at most four requests.
//!
//! # Features
//!
//! All off by default. `depot`: archives in object storage, read by ranges. `s3`: with the S3 client of
//! `object_store`, its TLS by ring. `zstd`: entries packed with Zstandard, which older ZIP tools cannot read.

mod chunk;
pub mod cloudify;
mod deflate;
#[cfg(feature = "depot")]
pub mod depot;
mod digest;
mod direct;
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
