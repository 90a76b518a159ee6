//! Snapshots of instances, volumes and images that survive a crash: taken, listed, planned,
//! restored, undone and deleted, from inside your own service.
//!
#![cfg_attr(all(feature = "local", feature = "redb"), doc = "```")]
#![cfg_attr(not(all(feature = "local", feature = "redb")), doc = "```text")]
//! use stillpoint::{Consistency, Stillpoint};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stillpoint::Result<()> {
//! # let scratch = tempfile::tempdir().unwrap();
//! # let folder = scratch.path();
//! # std::fs::write(folder.join("disk.img"), [7; 4096]).unwrap();
//! let still = Stillpoint::builder()
//!     .folder("here", folder) // every file in it is a volume
//!     .state_file(folder.join(".stillpoint.db"))
//!     .build()?;
//! tokio::spawn(still.run());
//!
//! let before = still
//!     .snapshot("here/volume/disk.img")
//!     .once("schema-0042")
//!     .at_least(Consistency::Filesystem)
//!     .await?;
//! println!("{} holds {} volumes", before.name, before.parts.len());
//!
//! let plan = still.restore(before.id).plan().await?; // the dry run
//! println!("{plan}");
//! let restore = plan.start().await?;
//! restore.clone().await?;
//! restore.undo().await?; // from the safety snapshot that every restore in place takes
//! still.delete(before.id).await?;
//! # still.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! It is a library: no daemon, no command line, no agent in guests. A snapshot is not a backup:
//! it lives on the storage of its source, and a [`Shallow`](CopyKind::Shallow) part shares blocks
//! with it. It does not hide an outage in a consistency level: powering off is a word of its own,
//! [`may_power_off`](Ask::may_power_off).
//!
//! # Driving
//!
//! [`Stillpoint::run`] is the one loop; spawn it on a tokio runtime with time enabled. A process
//! that is killed leaves its jobs in the [`State`]; the next `run` takes them over, observes what
//! was on its way, and goes on or back.
//!
//! # Taking
//!
//! [`Stillpoint::snapshot`] of an instance takes all its volumes or none, and lists what it could
//! not hold in [`Snapshot::omitted`]. [`as_image`](Ask::as_image) takes the root disk to launch
//! from. Bytes are read back before the job is over, and only then is it
//! [`verified`](Snapshot::verified).
//!
//! # Restoring
//!
//! [`Stillpoint::restore`] goes in place, [`to_new`](Ask::to_new) or
//! [`as_template`](Ask::as_template). [`plan`](Ask::plan) tells what would change and everything
//! that stands in the way, and is bound to what it saw: a target that changed is refused. In
//! place a safety snapshot comes first, and is kept until [`undo`](JobHandle::undo) or
//! [`accept`](JobHandle::accept).
//!
//! # Exporting
//!
//! With the feature `transfer`, `still.export(id).to("/backup").await?` writes a snapshot to an
//! archive, reads it back and lists it in [`Snapshot::exports`]: only then is it a backup.
//! `still.import(archive)` lists what is in one, and `still.restore_from(archive).to_new("web-2")`
//! restores it without having it listed, on any provider that lets volumes be written. The guide
//! is that of `stillpoint-transfer`, here as `archives`.
//!
//! # The control plane itself
//!
//! With the feature `manager`, `still.capture("monday").await?` captures what the
//! [builder](Builder) was told this control plane is made of, and
//! `still.restore_manager("monday").await?` puts it back, on this machine or a fresh one. The guide
//! is that of `stillpoint-manager`, here as `control`.
//!
//! # Stopping
//!
//! [`JobHandle::stop`] undoes what was done, up to the point of no return; after that it is
//! refused with the reason.
//!
//! # Scheduling and keeping
//!
//! [`Stillpoint::schedule`] is declarative: applied again it is an update, and
//! [`plan`](ScheduleAsk::plan) shows what would change, with warnings and the next runs.
//! [`run`](Stillpoint::run) fires it, and prunes after a success. What would be pruned, and why the
//! rest stays, [`Stillpoint::prune`] shows; [`Stillpoint::expire`] ends a snapshot taken by hand.
//! [`Stillpoint::list`] has what is to come above what was taken, [`Stillpoint::health`] what is
//! wrong now.
//!
#![cfg_attr(feature = "sim", doc = "```")]
#![cfg_attr(not(feature = "sim"), doc = "```text")]
//! use jiff::ToSpan;
//! use stillpoint::{Cron, Keep, Listing, Select};
//!
//! # use std::sync::Arc;
//! # use stillpoint::iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! # let start = "2026-03-01T12:00:00Z".parse()?;
//! # let cloud = SimCloud::builder(Personality::Rest).name("prod").clock(clock_from(start)).build();
//! # cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 16).label("backup", "nightly"));
//! # let still = stillpoint::Stillpoint::builder()
//! #     .state(Arc::new(stillpoint::state::Memory::new()))
//! #     .provider(Arc::new(cloud.connect()))
//! #     .clock(Arc::new(stillpoint::TokioClock::starting_at(start)))
//! #     .build()?;
//! # tokio::spawn(still.run());
//! still
//!     .schedule("nightly")
//!     .instances(Select::label("backup", "nightly").on("prod"))
//!     .at(Cron::parse("0 2 * * *")?.tz("Europe/Berlin")?)
//!     .keep(Keep::new().daily(7).weekly(4))
//!     .stale_after(26.hours())
//!     .apply() // the same name again is an update
//!     .await?;
//! # tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
//!
//! let list = still.list(&Listing::default()).await?;
//! assert_eq!(list[0].name(), "nightly"); // the next run
//! assert_eq!(list[1].name(), "nightly-web-1-20260302-020000");
//! println!("{}", still.prune("nightly").plan().await?); // why each is kept
//! assert!(still.health().await?.is_good());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Runs that were missed, overlap or come all at once have [policies](policy) of their
//! [`Schedule`]. [`BoshDirector`] reads the properties of a BOSH Director.
//!
//! # Who changed what
//!
//! [`Stillpoint::by`] renames, describes, labels and pins in somebody's name; jobs sign with their
//! id. [`catalogue`](Stillpoint::catalogue)`().changes(…)` has every change there was, and
//! [`catalogue::replay`] makes of them what the catalogue is.
//!
//! # What nobody knows of
//!
//! [`Stillpoint::orphans`] sorts all that a provider has: tracked, ours and forgotten (a call that
//! took effect long after its job was given up, a catalogue put back from an older copy), and
//! foreign. [`Stillpoint::remove`] removes the second, and refuses the others.
//!
//! # Features
//!
//! All are off by default, and none changes what another does.
//!
//! - `local`: volumes as files of this machine.
//! - `manager`: this control plane itself, in archives and back.
//! - `openstack`: projects in OpenStack clouds.
//! - `redb`: state in one file of this machine.
//! - `s3`: depots in S3, for `transfer`.
//! - `sim`: the simulated cloud, for tests.
//! - `transfer`: snapshots to archives in folders and depots, and back.
//! - `zstd`: archives packed with it can be read, for `transfer`.

mod ask;
mod builder;
mod handle;
#[cfg(feature = "manager")]
mod manager;
mod orphans;
mod schedule;
mod stillpoint;
#[cfg(feature = "transfer")]
mod transfer;

pub use stillpoint_core::*;
pub use stillpoint_engine::{
    Alarm, Applied, BoshDirector, Bound, Captured, Change, Clock, CustomObservation, CustomWork,
    Engine, Executor, Health, ItemResult, Job, JobEvent, JobPlan, JobQuery, LastRun, Listed,
    Listing, ManagerWork, Orphans, PrunePlan, PruneSubject, Pruned, Request, Restore, RunItem,
    RunState, ScheduleHealth, SchedulePlan, ScheduleSpec, ScheduleStatus, ScheduledRun, Scope,
    Select, Show, SourceHealth, Subject, SystemClock, Take, TakeManner, Target, TokioClock,
    Unclear, Untracked, Warning, What,
};
pub use stillpoint_iaas::{self as iaas, Provider};
#[cfg(feature = "local")]
pub use stillpoint_local as local;
#[cfg(feature = "manager")]
pub use stillpoint_manager::{self as control, ManagerBuilder, RestoreManager, SettleManager};
#[cfg(feature = "openstack")]
pub use stillpoint_openstack as openstack;
pub use stillpoint_restore::{Outcome, Phase};
pub use stillpoint_schedule::retention::{self, Keep};
pub use stillpoint_schedule::schedule::Pause;
pub use stillpoint_schedule::{Cron, Schedule, policy};
pub use stillpoint_state::{self as state, State, catalogue};
#[cfg(feature = "transfer")]
pub use stillpoint_transfer::{self as archives, ArchiveRef, Export, Import, RestoreFrom, Shelf};

pub use crate::ask::{Ask, Delete, Planned, Settle, Wish};
pub use crate::builder::Builder;
pub use crate::handle::JobHandle;
#[cfg(feature = "manager")]
pub use crate::manager::CaptureManager;
pub use crate::orphans::Remove;
pub use crate::schedule::{PlannedPrune, PlannedSchedule, Prune, ScheduleAsk};
pub use crate::stillpoint::Stillpoint;
