//! A pure state machine that runs a plan of steps to its end, or back.

mod call;
#[cfg(test)]
mod check;
mod guard;
mod machine;
mod plan;
mod record;

pub use call::{BracketIx, Call, StepIx};
pub use machine::{
    ApplyError, Directive, Machine, Mode, Outcome, Progress, ReplayError, StopRefused, Tree,
    Trouble,
};
pub use plan::{
    Bracket, Group, Hold, InvalidPlan, Matters, Name, Phase, Plan, PlanBuilder, PlanError, Retry,
    Step, Undo,
};
pub use record::{Event, Failure, Left, Record, Retryable};
