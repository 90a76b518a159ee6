//! A service built on Stillpoint, for weeks on a virtual clock: killed, cut off, misled, and then
//! held to its word.
//!
//! ```
//! use std::time::Duration;
//!
//! use stillpoint_engine::{Engine, Request, Take};
//! use stillpoint_iaas::sim::{NewInstance, Personality};
//! use stillpoint_sim::{Node, Trouble, World};
//!
//! // A life of the service: built anew after every kill, as a process is.
//! async fn start(node: Node) -> stillpoint_core::Result<Engine> {
//!     let engine = node.engine().build()?;
//!     node.spawn(engine.run());
//!     Ok(engine)
//! }
//!
//! stillpoint_sim::test(3, |world: World| async move {
//!     let cloud = world.cloud("prod", Personality::Rest);
//!     let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 4096).off());
//!     let service = world.boot(start);
//!
//!     world.trouble(Trouble::ALL);
//!     for day in 0..7 {
//!         let (take, key) = (Request::Take(Take::of(web.clone())), format!("day-{day}"));
//!         // Asked again by its key until there is an answer, whoever was killed meanwhile.
//!         let asked = service.ask(|engine| {
//!             let (take, key) = (take.clone(), key.clone());
//!             async move { engine.start_once(&take, &key).await }
//!         });
//!         asked.await.ok(); // the cloud may be away; the catalogue must be right all the same
//!         world.pass(Duration::from_secs(86_400)).await;
//!     }
//!     service.calm(|engine, job| async move { engine.resume(job).await }).await;
//!     service.check().await;
//!     Ok(())
//! });
//! ```
//!
//! # What it does not do
//!
//! It replaces no test against the real system: its clouds are [simulated](stillpoint_iaas::sim),
//! and so is its disk. One service runs in a world, on one machine at a time. The scheduler is
//! tokio's own of one thread: tasks go in another order for another seed because every write and
//! every call of a cloud lets others go first, so often and for so long as the dice say, not
//! because the executor itself throws dice. What a service does between two such moments is not
//! interrupted. And a check holds at the end of a world, not at each of its moments.
//!
//! # A test of your own service
//!
//! [`World::boot`] takes a function from a [`Node`] to whatever your service is reached by. From
//! the node come its [state](Node::state), its [clients](Node::connect) of the clouds, its
//! [clock](Node::clock) and its [seed](Node::seed); what runs in the background is
//! [spawned](Node::spawn) there. With the facade that is
//! `Stillpoint::builder().state(node.state()).clock(node.clock()).ids_from_seed(node.seed())` and a
//! `.provider(node.connect(&cloud))` for each cloud.
//!
//! Clients talk to it by [`Service::ask`]. Your own assertions go after
//! [`check`](Service::check), on the [clouds](World::clouds) and on the [state](World::state).
//!
//! # What goes wrong
//!
//! [`Trouble`] says how often, in chances for each *touch*: the moments before and after each
//! write of the state and each call of a cloud, which are those where it matters.
//!
//! | trouble | what is lost |
//! |---|---|
//! | a kill | all tasks at once; a write on its way may be made all the same |
//! | a power cut | the same, and every write that was not acknowledged |
//! | a stall | the process's connections; it wakes up beside its successor, and tries to go on |
//! | a clock jump | up to so much time, forth or back, of the service's clock alone |
//! | a state fault | an answer: a read fails, a write fails with or without effect |
//! | weather | [whatever clouds do](stillpoint_iaas::sim::Fault): replies lost, effects late, refusals, half-done snapshots |
//!
//! # What must hold
//!
//! [`Service::calm`] ends the troubles and lets everything come to its end; then
//! [`Service::check`] demands that
//!
//! - what exists because of us is in the catalogue or was made for a caller, and the other way
//!   round;
//! - nobody is frozen, and who ran runs;
//! - what was somebody else's is as it was;
//! - each job is listed as its journal says that it ended, and waits for a person only where no
//!   other can tell ([`TicketOnly`](stillpoint_iaas::Identity::TicketOnly));
//! - nothing is claimed, leased or to be driven any more;
//! - each safety snapshot is held by its restore, or gone;
//! - each `once` key stands for one job;
//! - the audit of the catalogue, replayed, is the catalogue.
//!
//! # When a seed fails
//!
//! [`test()`] prints the seed, the reason, the end of its trace and how to run just that one:
//! `STILLPOINT_SEED=17 cargo test name`. That prints all of the trace. It is run twice, and where
//! the second run goes another way it says so, with the first line that differs: then something
//! takes time or chance from outside of its world. The usual suspects are ids, a `HashMap`,
//! `tokio::select!` without `biased`, a `watch` channel with several receivers, the system's
//! clock, and threads.
//!
//! `STILLPOINT_SEEDS=1000 cargo test --release name` runs so many of any test.

mod check;
mod clock;
mod disk;
mod fence;
mod kept;
mod node;
mod provider;
mod run;
mod seeds;
mod service;
mod state;
mod trace;
mod trouble;
mod world;

pub use crate::node::Node;
pub use crate::run::{Run, run, test};
pub use crate::seeds::Seeds;
pub use crate::service::Service;
pub use crate::trace::Trace;
pub use crate::trouble::Trouble;
pub use crate::world::{Tally, World};
