//! The one async loop of Stillpoint: compiles requests to plans, drives them, and recovers what a
//! crash left.
//!
//! ```
//! use std::sync::Arc;
//!
//! use stillpoint_engine::{Engine, Request, Take, TokioClock};
//! use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud};
//! use stillpoint_state::Memory;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let cloud = SimCloud::builder(Personality::Declarative).name("prod").build();
//! let web = cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 16).off());
//!
//! let engine = Engine::builder(Arc::new(Memory::new()))
//!     .provider(Arc::new(cloud.connect()))
//!     .clock(Arc::new(TokioClock::starting_at(cloud.now())))
//!     .build()?;
//! tokio::spawn(engine.run());
//!
//! let plan = engine.plan(&Request::Take(Take::of(web))).await?; // changes nothing
//! println!("{plan}");
//! let id = engine.start(&plan).await?; // durable from here on
//! let job = engine.wait(id).await?.into_result()?;
//! let snapshot = engine.snapshot_of(&job).await?;
//! assert!(snapshot.verified.is_some());
//! # Ok::<(), stillpoint_core::Error>(())
//! # }).unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It knows no cloud, no archive and no database: providers, the [`State`](stillpoint_state::State)
//! and an embedder's own [`Executor`]s are given to it. It has no threads of its own; it runs
//! where [`Engine::run`] is spawned.
//!
//! # Planning
//!
//! [`Engine::plan`] looks at the world and compiles a [`Request`] to a [`JobPlan`]: steps, what
//! they change, what the result will not hold, and everything that stands in the way. A plan is
//! data. [`Engine::start`] takes it later too, unless what it was made for has changed.
//!
//! # Driving
//!
//! A started job is durable with its plan, its claims and its place in the catalogue, in one
//! batch. One driver at a time, fenced by a lease, asks the job's
//! [`Machine`](stillpoint_restore::Machine) what to do; writes down what it is about to do, does
//! it, and writes down what came of it. The last record, the catalogue and the release of the
//! claims are one batch again.
//!
//! # Recovering
//!
//! [`Engine::run`] takes every unfinished job over. Whatever was on its way is observed by its key
//! before anything else is done about it; where nobody can tell, the job ends in
//! [`NeedsIntervention`](stillpoint_restore::Outcome::NeedsIntervention) and [`Engine::resume`]
//! goes on after a person has looked.
//!
//! # Keeping out of each other's way
//!
//! A job claims what it changes and what must stay: a second restore to one target is refused,
//! and so is deleting a snapshot that a job works with. The safety snapshot of a restore in place
//! is claimed until the restore is undone or accepted.
//!
//! # Schedules
//!
//! A [`ScheduleSpec`] is applied by name: [`Engine::plan_schedule`] shows what would change, what is
//! odd about it and its next runs; [`Engine::apply_schedule`] does it. [`Engine::run`] fires what
//! is due. A run is durable before anything of it happens, and each of its resources is a job that
//! is started once for *schedule, time on the wall, resource*: whoever fires it, and however often
//! it dies on the way, nothing is taken twice. A resource that fails stops no other.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use stillpoint_engine::{Engine, RunState, ScheduleSpec, Select, Subject, TokioClock};
//! use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
//! use stillpoint_schedule::{Cron, retention::Keep};
//! use stillpoint_state::Memory;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let start = "2026-03-01T12:00:00Z".parse()?;
//! let cloud = SimCloud::builder(Personality::Declarative).name("prod").clock(clock_from(start)).build();
//! cloud.add_instance(NewInstance::new("web-1").disk("root", 1 << 16).label("tier", "gold").off());
//! let engine = Engine::builder(Arc::new(Memory::new()))
//!     .provider(Arc::new(cloud.connect()))
//!     .clock(Arc::new(TokioClock::starting_at(start)))
//!     .build()?;
//! tokio::spawn(engine.run());
//!
//! let gold = Subject::Instances(Select::label("tier", "gold"));
//! let mut nightly = ScheduleSpec::new("nightly", gold, Cron::parse("0 2 * * *")?);
//! nightly.keep = Some(Keep::new().last(1));
//! let plan = engine.plan_schedule(&nightly).await?;
//! assert_eq!(plan.selects.len(), 1);
//! engine.apply_schedule(&plan).await?;
//!
//! tokio::time::sleep(Duration::from_secs(2 * 86_400)).await; // on the virtual clock
//! let runs = engine.schedule_runs("nightly").await?;
//! assert_eq!(runs[0].state, RunState::Done { taken: 1 });
//! assert_eq!(runs[1].pruned.as_ref().unwrap().deleted.len(), 1);
//! assert!(engine.health().await?.is_good());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! The ledger tells apart what was *missed* ([`RunState::Missed`]: we were down) and what *failed*
//! ([`RunState::Failed`]: the cloud did not do it). [`Engine::health`] is worked out when it is
//! asked for: alarms are levels, none is stored. [`Engine::list`] has what is to come above what
//! was taken.
//!
//! Not there: events for schedules (runs are in the ledger, their jobs have events).
//!
//! Engines that share a state may both fire: each run is one engine's at a time, and what an engine
//! leaves behind is taken over by another one once its lease is over, within two minutes. A run in
//! which something panics ends as [`RunState::Broken`], and the next one is a new one.
//!
//! What is over for long is forgotten once a day: a run and what became of each resource in it
//! 31 days after its end, but never one of the last 100 of its schedule; a job that a schedule
//! started, to take or to prune, 31 days after its end, but never before the snapshot that it took
//! is gone. So "none twice" holds over clocks that are put back by as much; further back a run may
//! be done again. Jobs that somebody else started stay.
//!
//! # Retention
//!
//! After a run, and only for what it took, [`Engine::prune`] is done: the planner of
//! [`stillpoint_schedule::retention`] decides, the same that [`Engine::plan_prune`] shows, and each
//! deletion is a job of its own that holds on to the last verified snapshot of its source. What
//! another schedule took, or a person, stays; so do pins and whatever a job works with. An expiry
//! ([`Author::expire`](stillpoint_state::catalogue::Author::expire)) is enforced by
//! [`Engine::run`], by the same planner: pins and the last verified one of a source win over it.
//!
//! # The control plane itself
//!
//! [`Subject::Manager`] names an [`Executor`] that understands [`ManagerWork`]. What it captures is
//! a snapshot in the catalogue: listed, kept, pruned and deleted as any other.
//!
//! # What nobody knows of
//!
//! [`Engine::orphans`] sorts all that a provider has: what the catalogue knows, what a journal says
//! we made and nobody knows of, and what is foreign. [`Request::Remove`] removes the second, and
//! refuses all else.
//!
//! # Being gentle
//!
//! At most as many operations at once, and as many submits in a time, as the provider's
//! [`Limits`](stillpoint_iaas::Limits) say, first come first served; only what keeps a guest frozen
//! or off goes before others. A call that is refused for coming too fast is no failure: it keeps
//! its place, waits, and goes again alone; with each call that is taken twice as many follow. No
//! deadline runs while a call waits for its turn.
//!
//! A provider that takes no call is left alone for a quarter of a minute, and then for one and a half,
//! before the next attempt: that outlasts a restart of it. Only a job that keeps something frozen or
//! off goes on as quickly as ever.
//!
//! # Steps and requests of your own
//!
//! An [`Executor`] carries out [`Action::Custom`] steps under the same contract: its key is
//! durable first, and after a crash it answers from the key alone. A [`CustomPlanner`] compiles
//! requests of your own to plans with such steps, and [`Effect`] says what they make of the
//! catalogue. Where the steps are work of this process, [`background`] has all of the executor
//! but the work.

mod action;
pub mod background;
mod builder;
mod caught;
mod clock;
mod drive;
mod engine;
mod event;
mod executor;
mod finish;
mod gate;
mod instant;
mod job;
mod line;
mod meter;
mod orphans;
mod plan;
mod planning;
mod request;
mod retention;
mod run;
mod schedules;
mod shared;
mod store;
mod timed;
mod work;

pub use crate::action::{Action, Ask, DiskFrom, Proof, Source, StepOutput};
pub use crate::builder::EngineBuilder;
pub use crate::clock::{Clock, SystemClock, TokioClock};
pub use crate::engine::Engine;
pub use crate::event::{JobEvent, What};
pub use crate::executor::{
    Captured, CustomObservation, CustomPlanner, CustomWork, Executor, ManagerWork,
};
pub use crate::instant::Instant;
pub use crate::job::{Job, JobQuery};
pub use crate::orphans::{Orphans, Unclear, Untracked};
pub use crate::plan::{Bound, Change, Claim, Delivered, Effect, JobPlan};
pub use crate::request::{CustomRequest, Request, Restore, Scope, Take, Target};
pub use crate::retention::{PrunePlan, PruneSubject, Pruned};
pub use crate::schedules::{
    Alarm, Applied, BoshDirector, Health, ItemResult, LastRun, Listed, Listing, RunItem, RunState,
    ScheduleHealth, SchedulePlan, ScheduleSpec, ScheduleStatus, ScheduledRun, Select, Show,
    SourceHealth, Subject, TakeManner, Warning,
};
