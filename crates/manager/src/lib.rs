//! A control plane captured into an archive, and restored from it: its database, its files, its
//! credentials, its agents, and whatever else its embedder says that it is made of.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use stillpoint_engine::{Engine, Request};
//! use stillpoint_manager::depot::Depot;
//! use stillpoint_manager::{Database, Files, Manager, NAME, RestoreManager, SecretKey, Server};
//! use stillpoint_state::{Memory, State};
//!
//! # async fn all(depot: Depot) -> stillpoint_core::Result<()> {
//! let key = SecretKey::generate(); // kept elsewhere: without it nothing secret is had again
//! let database = Server::new("/run/postgresql", "control", "control");
//! let manager = Manager::builder("Control", "7.1.0")
//!     .component("database", Database::new(database).entities("users", "SELECT count(*) FROM users"))
//!     .component("plugins", Files::new("/var/lib/control/plugins"))
//!     .component("keys", Files::credentials("/var/lib/control/keys"))
//!     .depot(depot, "/var/lib/control/staging")
//!     .seal_for(key.public())
//!     .identity(key);
//! let state: Arc<dyn State> = Arc::new(Memory::new()); // never in the database itself
//! let (engine, _archives) = manager.register(Arc::clone(&state), Engine::builder(state))?;
//! let engine = engine.build()?;
//! tokio::spawn(engine.run());
//!
//! let capture = Request::Capture { executor: NAME.into(), name: "monday".into(), schedule: None };
//! let plan = engine.plan(&capture).await?;
//! engine.wait(engine.start(&plan).await?).await?.into_result()?;
//!
//! // On another machine, with an empty state: the depot is all that is needed.
//! let plan = engine.plan(&RestoreManager::of("monday").request()).await?;
//! println!("{plan}"); // what will happen, or everything that stands in the way
//! engine.wait(engine.start(&plan).await?).await?.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! - **It keeps nobody out by itself.** What a lock is, and who respects it, is the embedder's to
//!   say: [`Component::lock`].
//! - **Several components are not swapped in one instant**, each of them is. The pivot puts one
//!   after the other in place, while all are locked, and after a crash it goes on.
//! - **No increments.** An archive is one capture, whole.
//! - **No roles, owners or privileges** of a database, and no owners of files.
//! - **Nothing of its own state.** It must be kept outside of what is restored. A restore looks for
//!   it there, and is refused where it is found.
//!
//! # Components
//!
//! [`Component`] is the trait; [`Database`], [`Files`] (and [`Files::credentials`]) and [`Agents`]
//! are ready, and [`LockOnly`] is for what has a lock and no data. What every archive says of the
//! whole is [`Metadata`]: versions, schema revisions, when all was locked, and what was left out, and
//! why.
//!
//! # Capturing
//!
//! [`Request::Capture`](stillpoint_engine::Request::Capture) with the executor [`NAME`], or a
//! schedule of it. Components are locked level by level, as they depend on each other; what fixes
//! the point in time is done; and all are unlocked, in reverse, whatever happened. That window is
//! measured, and a [budget](ManagerBuilder::lock_at_most) ends it. Everything else follows outside
//! of the lock: what was fixed is written to an archive, read back, and brought to the depot. What
//! is captured *only on request* is in [`Record::with`] of a record that was
//! [asked for](Record::asked) before.
//!
//! # Restoring
//!
//! [`RestoreManager`] plans with everything that stands in the way in one report: a later version,
//! a missing key, a manager that is not clean, components, tenants that are not in it, networks that
//! are not here, room, rights. It fetches the archive
//! and reads all of it; locks; looks again; captures what is there; makes everything ready beside
//! what is there; and only then puts it in place: the pivot. A stop or a failure before that leaves
//! the manager as it was. After it others are reconnected and the result is validated; what fails
//! there, or has no place here, ends the job as partially failed, never as complete. What was there
//! before is kept until [`SettleManager`] accepts the restore, or takes it back: the latest is taken
//! back first, and the earliest accepted first.
//!
//! # Records
//!
//! [`Archives`] brings archives here from elsewhere, and deletes them. Its [`Records`] list them:
//! where each stands, by compare-and-swap and with a lease, so that one whose creator was killed is
//! found. Only what is [whole](RecordState::is_whole) is restored from.
//!
//! # Progress
//!
//! Jobs tell how far they are in bytes, which never goes back and ends at exactly its total: within
//! a capture, and within each step of a restore that moves any. How many there will be is
//! [asked](Component::size) beforehand; what is said is the measure, and need not be exact. Bringing
//! an archive to the depot is the end of a capture's step, and tells nothing by itself.
//!
//! # After a crash
//!
//! Each step can be begun again under its key and finds what it had done. A server that is away is
//! waited for a little. While a restore is taken back it, or the depot, is asked again and again for
//! about an hour, with all locked, and once it answers the job ends and unlocks by itself. After that
//! the job says what is left to do and waits for
//! [`Engine::resume`](stillpoint_engine::Engine::resume): whether the server will ever be back is for
//! a person to say. Locks that were held are taken again before a step that needs them goes on.

mod agents;
mod archives;
mod component;
mod database;
mod dump;
mod failure;
mod files;
mod keys;
mod levels;
mod lock_only;
mod locks;
mod manager;
mod metadata;
mod mutex;
mod plan;
mod preflight;
mod probe;
mod random;
mod records;
mod remove;
mod request;
mod site;
mod stage;
mod work;

pub use stillpoint_archive::{Class, Identity, Passphrase, PublicKey, Recipient, SecretKey};
pub use stillpoint_archive::{cloudify, depot};

pub use crate::agents::{Agent, Agents, Link};
pub use crate::archives::Archives;
pub use crate::component::{Component, LeftOut};
pub use crate::database::{Database, Server};
pub use crate::dump::Dump;
pub use crate::files::{Copying, Files};
pub use crate::lock_only::LockOnly;
pub use crate::manager::{Manager, ManagerBuilder};
pub use crate::metadata::{About, Metadata, Window};
pub use crate::probe::Token;
pub use crate::records::{LEASE, Record, RecordState, Records};
pub use crate::request::{NAME, RestoreManager, SettleManager};
pub use crate::site::Site;
pub use crate::stage::Stage;
