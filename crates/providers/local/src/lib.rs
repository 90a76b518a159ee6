//! The files of a folder as volumes: snapshots by reflink where the file system can and by a
//! sparse copy where it cannot, restored in place or to new.
//!
//! ```
//! use std::fs;
//! use stillpoint_iaas::{DiskOf, Observation, Operation, Output, Provider, TakeSnapshot};
//! use stillpoint_local::LocalProvider;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! fs::write(folder.path().join("disk.raw"), "precious")?;
//!
//! let here = LocalProvider::open("here", folder.path())?;
//! let disk: stillpoint_core::ResourceRef = "here/volume/disk.raw".parse()?;
//! let take = Operation::Snapshot(TakeSnapshot {
//!     source: disk.clone(),
//!     parts: vec![DiskOf { disk: "root".into(), volume: disk.clone() }],
//!     name: "before".into(),
//!     labels: Default::default(),
//!     group: false,
//!     quiesce: None,
//!     memory: stillpoint_core::Memory::No,
//!     copy: stillpoint_core::CopyKind::Shallow,
//! });
//!
//! // What an engine does: submit under a key, then ask by the key until it is over.
//! let key = "job-1.take".parse()?;
//! here.submit(&key, &take).await?;
//! let taken = loop {
//!     match here.observe(&key, &take, None).await? {
//!         Observation::Running { look_again_in, .. } => tokio::time::sleep(look_again_in).await,
//!         Observation::Done { output: Output::Snapshot(taken), .. } => break taken,
//!         other => panic!("{other:?}"),
//!     }
//! };
//!
//! fs::write(folder.path().join("disk.raw"), "damaged!")?;
//! let bytes = here.bytes().expect("files have bytes");
//! assert_eq!(bytes.read(&taken.parts[0].snapshot, 0, 8).await?, "precious");
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - **A snapshot here is not a backup.** It is on the same file system as its volume, and dies
//!   with that. A reflink ([`CopyKind::Shallow`](stillpoint_core::CopyKind)) also shares its
//!   blocks: it survives whatever is written to the volume, and its deletion, but one bad block
//!   of the device is bad in both. Ask for [`CopyKind::Full`](stillpoint_core::CopyKind) for
//!   blocks of its own, and export what must survive.
//! - **It does not know what runs.** Files do not tell what they belong to: an instance is a
//!   record of its disks, its power is unknown, and it cannot be powered off or on.
//! - **It sees writers of other users only as root**, and those in other PID namespaces than its
//!   own, as of containers, not at all. Of these it sees what they change while it copies, but not
//!   what they write through a mapping. Loop devices it sees always.
//! - Raw files only, on Linux: no qcow2, no block devices, no memory, no changed blocks.
//!
//! # Opening a folder
//!
//! Every regular file at the top of the folder is a volume, with its name as its id. Names that
//! start with a stop, are over 240 bytes or are not UTF-8 are left alone, and so are links,
//! folders and devices. All that is this crate's is in `.stillpoint/`, made at the first
//! [`open`](LocalProvider::open):
//!
//! | in `.stillpoint/` | |
//! |---|---|
//! | `snapshots/`, `images/` | bytes (`.raw`) and record (`.json`) of each |
//! | `instances/`, `volumes/` | records: disks, labels, who made it |
//! | `staged/` | files being made, named after their operation's key |
//! | `commits/` | changes that are decided and perhaps not complete |
//! | `deleted/` | files being removed |
//! | `lock` | held by the one process that has the folder open |
//!
//! # Taking
//!
//! A source must be still. Either nothing has it open for writing, which reaches `Filesystem` and
//! is looked for in every process's descriptors and mappings and among the loop devices, before
//! and after, and refused where `/proc` cannot be read for it; or its
//! instance is frozen by the hooks that [`LocalProvider::open_with_freezer`] was given. Its size
//! and change time are compared before and after, too: a source that changed gives no snapshot.
//! Since none of a group changed while all were copied, all are of one instant; they are
//! published together or not at all.
//!
//! Where blocks cannot be shared, they are copied, holes left out. Copies of 32 MiB and more are
//! written past the page cache (`O_DIRECT`) by 8 threads with 1 MiB of memory each. Not while
//! somebody is frozen: the cache takes a copy quickest, and the disk can wait until the thaw.
//!
//! # Freezing
//!
//! Implement [`Freezer`] for what you run. Before each freeze it [arms](Freezer::arm) somebody
//! who ends it in time though this process be killed: the instance itself, or a process of its
//! own. Where there is nobody, nothing is frozen. A snapshot that was not complete when its
//! freeze ended fails.
//!
//! # Restoring
//!
//! A revert writes a new file and renames it over the volume, with its owner and rights. Who has
//! the volume open for reading keeps the old bytes; a writer is refused. To restore to new, make
//! a volume from the snapshot.
//!
//! # After a crash
//!
//! A change is made durable in `staged/`, then decided by one record in `commits/`, then
//! published by renames. The next open finishes what was decided and removes all else, so that
//! [`observe`](stillpoint_iaas::Provider::observe) answers from the key alone: done, or absent.
//!
//! # Damage
//!
//! Records carry a checksum. A damaged one is an error of kind `Corrupt` that names its file and
//! what to do. [`list`](stillpoint_iaas::Provider::list) gives all others first and that error
//! last, so read the stream to its end instead of collecting it in one go.
//!
//! # Testing what is built on it
//!
//! With the feature `failpoint`, `STILLPOINT_LOCAL_FAIL=kill:7` kills the process before its 7th
//! change to a folder, `full:7` has the disk full from there on, and `once:7` fails that change.

mod bytes;
mod claims;
mod commit;
mod copier;
mod copy;
mod delete;
mod direct;
mod durable;
mod entity;
mod extents;
#[cfg(feature = "failpoint")]
#[doc(hidden)]
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
mod pieces;
mod provider;
mod record;
mod recovery;
mod sessions;
mod source;
mod stamp;
mod take;
mod volume;
mod writers;

pub use crate::freezer::{Freezer, Thaws};
pub use crate::provider::LocalProvider;
