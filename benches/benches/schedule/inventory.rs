//! Retention over 100,000 snapshots, and what a year will make of them.

use jiff::{SignedDuration, Timestamp};
use stillpoint_benches::{Laps, Table, setting};
use stillpoint_schedule::{
    Cron, Schedule,
    forecast::{Scenario, forecast},
    retention::{Health, Keep, Snapshot},
};

use crate::cpu::time;

const SOURCES: usize = 1000;
const NIGHTS: i64 = 100;

pub(crate) fn table() -> Table<3> {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("an instant");
    let names: Vec<String> = (0..SOURCES).map(|number| format!("web-{number}")).collect();
    let sources: Vec<&str> = names.iter().map(String::as_str).collect();
    let inventory = inventory(&sources, now);
    let keep = Keep::new().daily(7).weekly(4).monthly(12);
    let keep = keep.tz("Europe/Berlin").expect("a zone");
    let cron = Cron::parse("0 2 * * * Europe/Berlin").expect("an expression");
    let schedule = Schedule::cron(cron);
    let scenario = Scenario {
        policy: "nightly",
        keep: &keep,
        schedule: &schedule,
        sources: &sources,
        inventory: &inventory,
        now,
        days: 365,
        failure: 0.02,
        seed: 1,
    };

    let (mut planned, mut forecasted) = (Laps::default(), Laps::default());
    for _ in 0..setting("STILLPOINT_BENCH_ROUNDS", 25) {
        let plan = time(&mut planned, || keep.plan("nightly", &inventory, now));
        let plan = plan.expect("a plan");
        assert_eq!(plan.decisions.len(), inventory.len());
        assert!(plan.deletions.len() > inventory.len() / 2);
        let forecast = time(&mut forecasted, || forecast(&scenario));
        assert!(forecast.expect("a forecast").lives.len() > 400_000);
    }
    let mut table = Table::new(["100,000 snapshots of 1,000 sources", "median", "goal"]);
    table.row([
        "retention, with a reason for each".to_owned(),
        planned.to_string(),
        "100 ms".to_owned(),
    ]);
    table.row([
        "a year's forecast, another 365,000".to_owned(),
        forecasted.to_string(),
        "1 s".to_owned(),
    ]);
    table
}

/// A verified one of each source every night, in the order in which they were taken.
fn inventory(sources: &[&str], now: Timestamp) -> Vec<Snapshot> {
    let mut inventory = Vec::with_capacity(sources.len() * NIGHTS as usize);
    for night in (0..NIGHTS).rev() {
        let taken_at = now - SignedDuration::from_hours(24 * night + 10);
        inventory.extend(sources.iter().map(|source| Snapshot {
            policy: Some("nightly".to_owned()),
            health: Health::Verified,
            ..Snapshot::new(format!("nightly-{source}-{night}"), *source, taken_at)
        }));
    }
    inventory
}
