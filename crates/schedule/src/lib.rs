//! Cron, schedules, missed runs, retention and forecast: pure values, no clock, no I/O.

mod civil;
pub mod cron;
mod daylight;
mod evaluate;
pub mod forecast;
mod hash;
pub mod policy;
pub mod preview;
pub mod retention;
mod run;
pub mod schedule;
mod timeline;
mod zone;

pub use cron::Cron;
pub use daylight::{DaylightSaving, Fold, Gap};
pub use evaluate::SearchError;
pub use run::{Reason, Run, RunKey};
pub use schedule::{Schedule, ScheduleError};
pub use timeline::{Firing, Timeline};
pub use zone::{Zone, ZoneError};
