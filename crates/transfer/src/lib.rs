//! Snapshots exported to archives, and brought back from an archive alone: on another machine, with
//! an empty catalogue, on another provider.
//!
//! ```
//! use std::sync::Arc;
//!
//! use stillpoint_engine::{Engine, Request, Take, TokioClock};
//! use stillpoint_iaas::Provider;
//! use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud};
//! use stillpoint_state::{Memory, State};
//! use stillpoint_transfer::{Export, RestoreFrom, Transfer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! # let backup = tempfile::tempdir().unwrap();
//! let cloud = SimCloud::builder(Personality::Declarative).name("prod").build();
//! let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 20).off());
//! cloud.fill(&cloud.disk(&web, "root").unwrap(), 7);
//!
//! let state: Arc<dyn State> = Arc::new(Memory::new());
//! let provider: Arc<dyn Provider> = Arc::new(cloud.connect());
//! let engine = Engine::builder(Arc::clone(&state))
//!     .provider(Arc::clone(&provider))
//!     .clock(Arc::new(TokioClock::starting_at(cloud.now())));
//! let engine = Transfer::builder().provider(provider).register(state, engine).build()?;
//! tokio::spawn(engine.run());
//!
//! let plan = engine.plan(&Request::Take(Take::of(web))).await?;
//! let taken = engine.wait(engine.start(&plan).await?).await?.into_result()?;
//! let snapshot = engine.snapshot_of(&taken).await?;
//!
//! let export = Export { to: Some(backup.path().try_into()?), ..Export::of(snapshot.id) };
//! let plan = engine.plan(&export.request()).await?; // changes nothing
//! println!("{plan}");
//! engine.wait(engine.start(&plan).await?).await?.into_result()?;
//! let archive = &engine.snapshot_of(&taken).await?.exports[0];
//!
//! // From here on the archive is all that is needed.
//! let restore = RestoreFrom::new(archive.archive.parse()?, "web-2");
//! let plan = engine.plan(&restore.request()).await?;
//! let job = engine.wait(engine.start(&plan).await?).await?.into_result()?;
//! let made = engine.provider("prod")?.describe(&job.made[0]).await?;
//! assert_eq!(made.name, "web-2");
//! # Ok::<(), stillpoint_core::Error>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The facade has requests for all of it: `still.export(id).to("/backup").await?`.
//!
//! # What it does not do
//!
//! - **No increments.** An archive is one snapshot, whole. Two of one disk share nothing.
//! - **No restore in place from an archive.** It makes new volumes and instances beside what is
//!   there; what is there is not touched.
//! - **No more than bytes.** An instance comes back as its disks, under another name: no flavour,
//!   network or address. What the snapshot did not hold is listed on it, also after an import.
//! - **It needs bytes.** A provider that gives no [access to them](stillpoint_iaas::VolumeBytes)
//!   can neither be exported from nor restored on.
//! - **No keeping of archives.** Nothing here deletes one that was delivered, and a copy of a
//!   deleted snapshot stays. To delete an imported entry takes it off the list, and no more.
//!
//! # What is in an archive
//!
//! A native archive of [`stillpoint_archive`]: `volumes/N-DISK.img`, the raw bytes of each disk
//! with its holes as holes, and `snapshot.json`, the snapshot as the catalogue had it, with sizes,
//! content digests and omissions, and without what only that catalogue can mean (pins, schedule,
//! expiry). So any ZIP tool gets raw disks out of one that is not sealed.
//!
//! # Exporting
//!
//! [`Export`] reads the extents of each part through its provider, and holes not at all. What it
//! reads must have the content digests that the catalogue has. The archive is written to a folder
//! of the job's own (`.stillpoint-JOB`, beside where it goes), read back whole and held against
//! the same digests, and only then gets its name, which is never one that is there already: the
//! snapshot's name and the job's id. In the last batch of the job the catalogue lists it in
//! [`Snapshot::exports`](stillpoint_core::Snapshot::exports), with the root of its manifest: a
//! snapshot without any is no backup.
//!
//! # Depots
//!
//! An archive for a [depot](TransferBuilder::depot) is made in the depot's staging folder and then
//! uploaded; one from there is fetched to it before it is restored. The folder needs room for as
//! many archives as are on their way at once. The plan of an export asks the depot whether it is
//! there and can be read with these keys, and is blocked where not.
//!
//! # Room
//!
//! A plan is blocked where the folder that an archive is made in has less room than the data of the
//! snapshot takes unpacked, holes aside: how well it packs nobody knows before. A restore from a
//! depot is where the staging folder has no room for the archive. What else fills the disk
//! meanwhile ends the job, which leaves nothing there.
//!
//! # Sealing
//!
//! [`Export::seal_for`] names [recipients](TransferBuilder::recipient); volumes and description
//! are then sealed for them. Plans and journals have their names and no keys. Keys to
//! [open with](TransferBuilder::identity) are registered, too, and a restore whose archive none of
//! them opens is refused by its plan. Who has no key can still import nothing and verify
//! everything, with `stillpoint_archive::verify`. Where the exporter itself has none, its read-back
//! proves the seals and not the bytes in them.
//!
//! # Importing
//!
//! [`Import`] lists what is in an archive, once all of it was read. The entry is
//! [`Archived`](stillpoint_core::SnapshotState::Archived): only archives hold it. An entry of that
//! id that is there already, with the same content, has one copy more; with other content the
//! import is refused.
//!
//! # Restoring
//!
//! [`RestoreFrom`] needs no entry. It reads the whole archive before it makes anything; then makes
//! volumes, writes what is not zeros, and reads them back; and last, where the snapshot is of an
//! instance, makes that. The plan is bound to the root of the archive's manifest: another archive
//! in its place is refused.
//!
//! # After a crash
//!
//! Each step can be begun again under its key and finds what it had done: a staged or delivered
//! archive has its name only when it is whole. A step that fails or is stopped leaves nothing of
//! its own in the staging folder. What is in a depot only the undo removes, also after a step that
//! failed: it may be whole by then, where another engine has taken the job over, and undos are run
//! by who has the job. The job's id is in the name, so it is nobody else's.
//!
//! # Features
//!
//! Off by default. `s3`: depots there. `zstd`: archives packed with that can be read.

mod document;
mod failure;
mod place;
mod plan;
mod request;
mod staging;
mod transfer;
mod vault;
mod work;

/// The store that the archive crate's own tests watch, and fail.
#[cfg(test)]
#[path = "../../archive/tests/store/mod.rs"]
mod store;

pub use stillpoint_archive::depot;
pub use stillpoint_archive::{Identity, Passphrase, PublicKey, Recipient, SecretKey};

pub use crate::place::{ArchiveRef, Shelf};
pub use crate::request::{Export, Import, RestoreFrom};
pub use crate::transfer::{Transfer, TransferBuilder};
