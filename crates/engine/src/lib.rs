//! engine
mod action;
mod builder;
mod clock;
mod drive;
mod engine;
mod event;
mod executor;
mod finish;
mod gate;
mod job;
mod meter;
mod plan;
mod planning;
mod request;
mod run;
mod shared;
mod store;
mod work;

pub use crate::action::{Action, Ask, DiskFrom, Proof, Source, StepOutput};
pub use crate::builder::EngineBuilder;
pub use crate::clock::{Clock, SystemClock, TokioClock};
pub use crate::engine::Engine;
pub use crate::event::{JobEvent, What};
pub use crate::executor::{CustomObservation, CustomWork, Executor};
pub use crate::job::{Job, JobQuery};
pub use crate::plan::{Bound, Change, Claim, Effect, JobPlan};
pub use crate::request::{Request, Restore, Scope, Take, Target};
