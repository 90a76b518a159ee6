//! What the benchmarks share: medians of times that were taken in turns, and a table of them.
//!
//! ```
//! use std::time::Duration;
//! use stillpoint_benches::{Laps, Table};
//!
//! let mut ours = Laps::default();
//! let mut theirs = Laps::default();
//! for round in 1..=3 {
//!     ours.push(Duration::from_millis(20 * round));
//!     theirs.push(Duration::from_millis(10 * round));
//! }
//! let mut table = Table::new(["what", "ours", "theirs", "ratio"]);
//! table.row([
//!     "copy".to_owned(),
//!     ours.to_string(),
//!     theirs.to_string(),
//!     format!("{:.2}", ours.ratio(&theirs)),
//! ]);
//! assert!(table.to_string().ends_with("| copy | 40.0ms | 20.0ms | 2.00 |\n"));
//! ```
//!
//! # What it does not do
//!
//! It judges nothing: a time is no test. What is to hold always is asserted where it is measured.

mod laps;
mod table;

use std::env;
use std::path::PathBuf;

pub use crate::laps::Laps;
pub use crate::table::Table;

/// The number in an environment variable, or `default` where it is not set.
///
/// # Panics
///
/// Where it is set to something else than a number.
pub fn setting(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is `{text}`; set it to a whole number")),
        Err(_) => default,
    }
}

/// Where to measure: `STILLPOINT_BENCH_DIR`, or else `default`.
pub fn scratch(default: &str) -> PathBuf {
    env::var_os("STILLPOINT_BENCH_DIR").map_or_else(|| default.into(), PathBuf::from)
}
