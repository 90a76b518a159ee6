//! A simulated cloud: a whole IaaS in memory, with faults and on a virtual clock.
//!
//! ```
//! use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud};
//! use stillpoint_iaas::{Operation, Provider, ProviderExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let cloud = SimCloud::new(Personality::Rest);
//! let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 20));
//! let before = cloud.inventory();
//!
//! let provider = cloud.connect();
//! provider.submit(&"take-1".parse()?, &Operation::PowerOff { instance: web }).await?;
//! cloud.settle().await;
//!
//! assert_eq!(before.diff(&cloud.inventory()).len(), 1);
//! assert!(cloud.inventory().to_string().contains("web-1 (foreign) off"));
//! # Ok::<(), stillpoint_core::Error>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It is no substitute for the real system, only for its bad days: test against the real one
//! first. It has no networks, flavours or users. It holds no memory. It never sleeps outside a
//! call: things happen when somebody looks, at the time at which they were due.
//!
//! # Choosing how it behaves
//!
//! A [`Personality`] is a sort of system; [`SimCloud::builder`] sets what else there is to set.
//! Under a `tokio` runtime with paused time (`#[tokio::test(start_paused = true)]`) an hour
//! takes no time.
//!
//! # Being killed and started again
//!
//! [`SimCloud::connect`] starts a client. [`SimCloud::restart`] kills all there are, and starts
//! one: what dies with them is a matter of the personality. A client whose last clone is dropped
//! has died as well.
//!
//! # Making things go wrong
//!
//! [`SimCloud::fault`] scripts one [`Fault`] for one call ("the third snapshot"),
//! [`SimCloud::weather`] throws dice with a seed. A call that hangs does so until its caller
//! gives up: put [`Limits::call_timeout`](crate::Limits::call_timeout) around each.
//!
//! # Seeing what came of it
//!
//! [`SimCloud::inventory`] is all there is, to print and to compare;
//! [`SimCloud::freeze_log`] says who was frozen for how long; [`SimCloud::calls`] counts.

mod bytes;
mod check;
mod clock;
mod cloud;
mod content;
mod effect;
mod fault;
mod freezes;
mod inventory;
mod job;
mod observe;
mod personality;
mod provider;
mod refusal;
mod reply;
mod script;
mod setup;
mod stop;
mod submit;
mod thing;
mod world;

pub use self::clock::{Clock, clock_from};
pub use self::cloud::{Calls, SimCloud, SimCloudBuilder};
pub use self::fault::Fault;
pub use self::freezes::FreezeInterval;
pub use self::inventory::{Difference, Inventory, Item};
pub use self::personality::Personality;
pub use self::provider::SimProvider;
#[cfg(feature = "conformance")]
pub(crate) use self::script::Script;
pub use self::script::{At, Call};
pub use self::setup::NewInstance;
