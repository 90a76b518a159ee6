//! What finds the next run of an expression: ours and the peers, each with its own types, so that
//! nobody pays for another's.

use chrono::{DateTime, TimeZone, Utc};
use croner::parser::{CronParser, Seconds};
use jiff::{Timestamp, Zoned, tz::TimeZone as JiffZone};
use stillpoint_schedule::{Cron, Zone};

/// Answers one after the other, each from the one before; from the start again at the end of what
/// a contender looks at.
pub(crate) trait Chain {
    /// In seconds since 1970.
    fn chain(&self, count: usize) -> Vec<i64>;
}

/// A contender, or none where it does not know the expression or the zone.
pub(crate) type Contender = Option<Box<dyn Chain>>;

pub(crate) const NAMES: [&str; 3] = ["Stillpoint", "croner 4 on jiff", "cron 0.17 on chrono"];

/// One of each, in the order of the names.
pub(crate) fn contenders(expression: &str, zone: &str, from: &str) -> [Contender; 3] {
    let from: Timestamp = from.parse().expect("an instant");
    [
        ours(expression, zone, from),
        croner(expression, zone, from),
        cron(expression, zone, from),
    ]
}

struct Ours(Cron, Timestamp);

fn ours(expression: &str, zone: &str, from: Timestamp) -> Contender {
    let zone = Zone::named(zone).expect("a zone");
    let cron = Cron::parse(expression).expect("an expression of ours");
    Some(Box::new(Ours(cron.in_zone(zone), from)))
}

impl Chain for Ours {
    fn chain(&self, count: usize) -> Vec<i64> {
        let mut after = self.1;
        let next = || {
            after = self.0.next_after(after).map_or(self.1, |run| run.at);
            after.as_second()
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

struct Croner(croner::Cron, Zoned);

/// Its parser, as the corpus of the tests was answered best with.
pub(crate) fn croner_parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).build()
}

fn croner(expression: &str, zone: &str, from: Timestamp) -> Contender {
    let cron = croner_parser().parse(expression).ok()?;
    let zone = JiffZone::get(zone).ok()?;
    Some(Box::new(Croner(cron, from.to_zoned(zone))))
}

impl Chain for Croner {
    fn chain(&self, count: usize) -> Vec<i64> {
        let mut after = self.1.clone();
        let next = || {
            let found = self.0.find_next_occurrence(&after, false);
            after = found.unwrap_or_else(|_| self.1.clone());
            after.timestamp().as_second()
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}

struct PlainCron<Z: TimeZone>(cron::Schedule, DateTime<Z>);

/// The expression as that crate has it: with the seconds.
pub(crate) fn with_seconds(expression: &str) -> String {
    format!("0 {expression}")
}

fn cron(expression: &str, zone: &str, from: Timestamp) -> Contender {
    let cron: cron::Schedule = with_seconds(expression).parse().ok()?;
    let from = Utc.timestamp_opt(from.as_second(), 0).single()?;
    if zone == "UTC" {
        // Its own type for it, which is quicker than the zone of that name.
        return Some(Box::new(PlainCron(cron, from)));
    }
    let zone: chrono_tz::Tz = zone.parse().ok()?;
    Some(Box::new(PlainCron(cron, from.with_timezone(&zone))))
}

impl<Z: TimeZone> Chain for PlainCron<Z> {
    fn chain(&self, count: usize) -> Vec<i64> {
        let mut after = self.1.clone();
        let next = || {
            let found = self.0.after(&after).next();
            after = found.unwrap_or_else(|| self.1.clone());
            after.timestamp()
        };
        std::iter::repeat_with(next).take(count).collect()
    }
}
