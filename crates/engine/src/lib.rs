//! engine
mod action;
mod clock;
mod event;
mod executor;
mod gate;
mod plan;
mod planning;
mod request;
mod work;

pub use crate::action::{Action, Ask, DiskFrom, Proof, Source, StepOutput};
pub use crate::clock::{Clock, SystemClock, TokioClock};
pub use crate::event::{JobEvent, What};
pub use crate::executor::{CustomObservation, CustomWork, Executor};
pub use crate::plan::{Bound, Change, Claim, Effect, JobPlan};
pub use crate::request::{Request, Restore, Scope, Take, Target};
