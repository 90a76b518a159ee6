//! Schedules: applied by name, fired by the loop, recorded run by run.

mod adopt;
mod apply;
mod attempt;
mod bosh;
mod expiry;
mod fire;
mod forget;
mod health;
mod keeper;
mod ledger;
mod listing;
mod run;
mod select;
mod spec;
mod warning;
mod work_off;

pub use self::apply::{Applied, SchedulePlan, ScheduleStatus};
pub use self::bosh::BoshDirector;
pub use self::health::{Alarm, Health, ScheduleHealth, SourceHealth};
pub(crate) use self::keeper::keep;
pub use self::ledger::LastRun;
pub(crate) use self::ledger::Ledger;
pub use self::listing::{Listed, Listing, Show};
pub use self::run::{ItemResult, RunItem, RunState, ScheduledRun};
pub(crate) use self::select::manager;
pub use self::select::{Select, Subject};
pub use self::spec::{ScheduleSpec, TakeManner};
pub use self::warning::Warning;
