//! The evaluator against brute force: 50 zones, three years each, every minute of them, random
//! expressions, every policy for daylight saving. The oracle shares no code with the evaluator: it
//! never parses (the generator knows what it wrote), it has no bit sets, and it finds gaps and
//! overlaps by looking at the clock minute by minute.
//!
//! `STILLPOINT_ORACLE=n` tries n expressions a zone instead of one.

mod expression;
mod minutes;

use jiff::{SignedDuration, Timestamp};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use stillpoint_schedule::{Cron, DaylightSaving, Fold, Gap, Run, Schedule, Zone};

use crate::{
    expression::{Expression, expression},
    minutes::Minutes,
};

/// Zones and the first of three years. Those with a year of their own have something in it.
const ZONES: [(&str, i16); 50] = [
    ("Africa/Cairo", 2022),
    ("Africa/Casablanca", 2018),
    ("Africa/El_Aaiun", 2024),
    ("Africa/Khartoum", 2016),
    ("Africa/Windhoek", 2016),
    ("America/Anchorage", 2031),
    ("America/Argentina/San_Luis", 2008),
    ("America/Asuncion", 2023),
    ("America/Bogota", 1991),
    ("America/Caracas", 2007),
    ("America/Chicago", 2006),
    ("America/Havana", 2025),
    ("America/Los_Angeles", 2025),
    ("America/Mexico_City", 2021),
    ("America/New_York", 2024),
    ("America/Nuuk", 2022),
    ("America/Port-au-Prince", 2015),
    ("America/Punta_Arenas", 2015),
    ("America/Santiago", 2021),
    ("America/Sao_Paulo", 2017),
    ("America/Scoresbysund", 2023),
    ("America/St_Johns", 2009),
    ("Antarctica/Casey", 2018),
    ("Antarctica/Troll", 2025),
    ("Asia/Almaty", 2023),
    ("Asia/Amman", 2021),
    ("Asia/Dhaka", 2009),
    ("Asia/Gaza", 2024),
    ("Asia/Kathmandu", 2000),
    ("Asia/Kolkata", 2026),
    ("Asia/Manila", 1989),
    ("Asia/Pyongyang", 2015),
    ("Asia/Tehran", 2021),
    ("Asia/Tokyo", 2040),
    ("Atlantic/Azores", 2025),
    ("Australia/Adelaide", 2026),
    ("Australia/Eucla", 2007),
    ("Australia/Lord_Howe", 2024),
    ("Europe/Berlin", 2025),
    ("Europe/Dublin", 2026),
    ("Europe/Istanbul", 2014),
    ("Europe/London", 2038),
    ("Europe/Moscow", 2010),
    ("Europe/Volgograd", 2018),
    ("Pacific/Apia", 2010),
    ("Pacific/Chatham", 2026),
    ("Pacific/Enderbury", 1994),
    ("Pacific/Fiji", 2019),
    ("Pacific/Tongatapu", 2016),
    ("UTC", 2095),
];

const POLICIES: [DaylightSaving; 4] = [
    DaylightSaving::ByHour,
    DaylightSaving::Fixed {
        gap: Gap::Shift,
        fold: Fold::Both,
    },
    DaylightSaving::Fixed {
        gap: Gap::Skip,
        fold: Fold::First,
    },
    DaylightSaving::Fixed {
        gap: Gap::Shift,
        fold: Fold::Second,
    },
];

#[test]
fn no_zone_differs_from_brute_force() {
    let tries = std::env::var("STILLPOINT_ORACLE").map_or(1, |tries| tries.parse().unwrap());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut compared = 0;
    for (name, year) in ZONES {
        let zone = Zone::named(name).unwrap();
        let minutes = Minutes::of(zone.time_zone(), year, year + 3);
        for _ in 0..tries {
            let expression = expression().new_tree(&mut runner).unwrap().current();
            compared += compare(&zone, &minutes, &expression);
        }
    }
    println!("{compared} runs compared");
    assert!(compared > 50_000 * tries, "{compared}");
}

fn compare(zone: &Zone, minutes: &Minutes, expression: &Expression) -> usize {
    let cron = Cron::parse(&expression.text).unwrap();
    let matches = minutes.matches(expression);
    let mut compared = 0;
    for policy in POLICIES {
        let (gap, fold) = match policy {
            DaylightSaving::Fixed { gap, fold } => (gap, fold),
            _ if expression.every_hour() => (Gap::Skip, Fold::Both),
            _ => (Gap::Shift, Fold::First),
        };
        let expected = minutes.runs(expression, &matches, gap, fold);
        let schedule = Schedule::cron(cron.clone())
            .in_zone(zone.clone())
            .on_clock_change(policy);
        let place = format!("{} in {zone}, {policy:?}", expression.text);
        for window in windows(minutes, &expected) {
            compared += window.len();
            assert_same(&schedule, window, &place);
        }
        for at in probes(minutes) {
            let after = expected.partition_point(|run| run.at <= at);
            if let Some(next) = expected.get(after) {
                assert_eq!(
                    schedule.next_after(at).unwrap().as_ref(),
                    Some(next),
                    "{place}, after {at}"
                );
            }
            let before = expected.partition_point(|run| run.at < at);
            if let Some(previous) = before.checked_sub(1).map(|index| &expected[index]) {
                assert_eq!(
                    schedule.prev_before(at).unwrap().as_ref(),
                    Some(previous),
                    "{place}, before {at}"
                );
            }
            compared += 2;
        }
    }
    compared
}

/// All runs; of expressions with very many, those from two days before to two days after a change
/// of the clock.
fn windows<'a>(minutes: &Minutes, expected: &'a [Run]) -> Vec<&'a [Run]> {
    if expected.len() < 1_500 {
        return vec![expected];
    }
    let around = SignedDuration::from_hours(48);
    let changes = minutes.changes().map(|at| {
        let start = expected.partition_point(|run| run.at < at - around);
        let end = expected.partition_point(|run| run.at <= at + around);
        &expected[start..end]
    });
    changes.chain([&expected[..500]]).collect()
}

/// The runs of a schedule one after the other, forwards and backwards.
fn assert_same(schedule: &Schedule, expected: &[Run], place: &str) {
    let (Some(first), Some(last)) = (expected.first(), expected.last()) else {
        return;
    };
    let second = SignedDuration::from_secs(1);
    let runs: Vec<Run> = schedule
        .runs_after(first.at - second)
        .take_while(|run| run.at <= last.at)
        .collect();
    assert_eq!(runs.len(), expected.len(), "{place}");
    for (run, expected) in runs.iter().zip(expected) {
        assert_eq!(run, expected, "{place}");
    }
    let mut before = last.at + second;
    for expected in expected.iter().rev() {
        let run = schedule.prev_before(before).unwrap().unwrap();
        assert_eq!(run, *expected, "{place}, backwards");
        before = run.at;
    }
}

/// Instants to ask from: all around the changes of the clock, and some anywhere.
fn probes(minutes: &Minutes) -> Vec<Timestamp> {
    let around = minutes.changes().flat_map(|at| {
        (-40..=40).map(move |step| at + SignedDuration::from_millis(step * 223_457))
    });
    let (start, end) = minutes.span();
    let anywhere = (0..100).map(|n| start + start.duration_until(end) / 101 * n);
    around.chain(anywhere).collect()
}
