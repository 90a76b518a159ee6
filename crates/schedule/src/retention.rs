//! Which snapshots stay and which go, with the reason for each.
//!
//! ```
//! use stillpoint_schedule::retention::{Health, Keep, Reason, Snapshot};
//!
//! let inventory: Vec<Snapshot> = (1..=9)
//!     .map(|day| Snapshot {
//!         policy: Some("nightly".into()),
//!         health: Health::Verified,
//!         ..Snapshot::new(
//!             format!("snap-{day}"),
//!             "web-1",
//!             format!("2026-01-0{day}T02:00:00Z").parse().unwrap(),
//!         )
//!     })
//!     .collect();
//! let keep = Keep::new().daily(3).weekly(2);
//! let plan = keep.plan("nightly", &inventory, "2026-01-09T12:00:00Z".parse()?)?;
//! // Three days, and the Sunday of the week before.
//! assert_eq!(plan.kept().collect::<Vec<_>>(), ["snap-4", "snap-7", "snap-8", "snap-9"]);
//! assert_eq!(plan.deletions, ["snap-1", "snap-2", "snap-3", "snap-5", "snap-6"]);
//! assert_eq!(plan.decision("snap-4").unwrap().reasons, [
//!     Reason::Weekly { rank: 2, period: "2026-W01".into() },
//! ]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What always holds
//!
//! * Only what the same policy took is ever deleted, and what someone took by hand and gave an
//!   expiry that is over.
//! * The last [verified](Keep::verified) snapshots of every source stay, whatever else is said.
//! * Failed and unverified snapshots never count. They go once as many verified ones are newer.
//! * Pins, restore targets, safety snapshots in use and what clones need stay.
//! * A group stays whole or goes whole. A parent stays as long as a child of it does, and
//!   [`Plan::deletions`] has every child before its parent.
//! * A policy that would keep nothing is refused.

mod keep;
mod nodes;
mod period;
mod plan;
mod series;
mod snapshot;
mod words;

pub use self::{
    keep::{Keep, RetentionError},
    plan::{Decision, Plan, Reason, Stale},
    snapshot::{Health, Snapshot, Use},
};
pub(crate) use self::{
    nodes::{Node, Nodes, decide},
    period::Periods,
    plan::{check_order, newest_first, number},
    series::{Rules, series},
};
