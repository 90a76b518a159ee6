//! When snapshots are taken, and which of them are kept: cron, schedules, missed runs, retention,
//! forecast. Values and functions only, so that all of it can be checked.
//!
//! ```
//! use stillpoint_schedule::{Cron, Reason, Schedule, Timeline, retention::Keep};
//!
//! // Every night at half past two, Berlin time.
//! let schedule = Schedule::cron(Cron::parse("30 2 * * *")?).tz("Europe/Berlin")?;
//! let mut timeline = Timeline::new();
//! timeline.insert("nightly", schedule, "2026-03-28T12:00:00Z".parse()?)?;
//!
//! // The night on which half past two does not exist: it runs all the same, once.
//! let now = timeline.wake_at().unwrap();
//! let firing = timeline.pop(now).unwrap();
//! assert_eq!(firing.due.runs[0].at.to_string(), "2026-03-29T01:00:00Z");
//! assert_eq!(firing.due.runs[0].reason, Reason::GapShifted);
//! assert_eq!(firing.due.runs[0].key("nightly").to_string(), "nightly@2026-03-29T02:30:00");
//!
//! // And what that leaves, once the snapshot is taken.
//! let plan = Keep::new().daily(7).weekly(4).plan("nightly", &[], now)?;
//! assert!(plan.deletions.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! * It has no clock, no timer and no threads, does no I/O and logs nothing. Time comes in as an
//!   argument; who calls it sleeps, takes, deletes and records.
//! * It keeps no record of what was done. It gives every run a [key](Run::key) that is the same on
//!   every machine; look it up in your own record before you begin, and nothing is done twice.
//! * It knows no leap seconds, and no sub-second schedules.
//! * It is not a clone of any one cron: [`GRAMMAR.md`] says what is read, what is refused, and where
//!   it differs from fugit, Vixie and Quartz.
//!
//! # Cron
//!
//! [`Cron`] reads the expressions of BOSH: five fields, or six with seconds, and an optional zone at
//! the end. Mistakes are refused with the column, the reason and what was probably meant; so is
//! what never fires.
//!
//! ```
//! use stillpoint_schedule::Cron;
//!
//! let cron = Cron::parse("0 0 7 * * * UTC")?;
//! assert_eq!(cron.describe(), "at 07:00 every day, UTC");
//! assert_eq!(cron.to_string(), "0 7 * * * UTC");
//! assert_eq!(
//!     Cron::parse("0 0 30 2 *").unwrap_err().to_string(),
//!     "column 5, day of month: never fires: no such day in these months; \
//!      \"L\" is the last day of any month",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Clocks that change
//!
//! By default no run is skipped and none done twice when clocks change; [`DaylightSaving`] says
//! how, and has the other policies. Every run says in its [`Reason`] what became of it.
//!
//! Zones are bundled, so that a release gives the same answers everywhere. When a zone changes its
//! rules, runs that were stored before are told by [`Schedule::check`].
//!
//! # Missed runs, overlaps, and all at once
//!
//! The [policies](policy) of a schedule say what happens after an [outage](policy::Missed), when a run
//! [takes longer](policy::Overlap) than its period, and how starts are [spread](policy::Jitter). A
//! [`Timeline`] holds the schedules of a whole service, and says which is due.
//!
//! # Looking ahead
//!
//! [`preview`](preview::preview) gives the next runs of any set of schedules, with marks where clocks
//! change and where runs will overlap. To look at one in a terminal:
//!
//! ```text
//! cargo run --release --example next_runs -- '30 2 * * mon-fri Europe/Berlin'
//! ```
//!
//! # What is kept
//!
//! [`retention`] plans what stays and what goes, with the reasons for each, and never the last good one.
//! [`forecast`] says what a schedule, a policy and a rate of failures will lead to in a year.
//!
//! # Errors
//!
//! Each part has its own: [`ParseError`](cron::ParseError), [`ZoneError`], [`ScheduleError`],
//! [`SearchError`], [`HistoryChanged`], [`RetentionError`](retention::RetentionError),
//! [`ForecastError`](forecast::ForecastError). All of them say what to do next.
//!
//! [`GRAMMAR.md`]: https://github.com/stillpoint-rs/stillpoint/blob/main/crates/schedule/GRAMMAR.md

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
pub use run::{HistoryChanged, Reason, Run, RunKey};
pub use schedule::{Schedule, ScheduleError};
pub use timeline::{Firing, Timeline};
pub use zone::{Zone, ZoneError};
