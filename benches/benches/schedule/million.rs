//! A million schedules in one timeline: what each takes of memory, and what a firing takes.

use std::env;
use std::fs;
use std::process::Command;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use stillpoint_benches::Table;
use stillpoint_schedule::{Cron, Schedule, Timeline, Zone};

use crate::cpu::on_cpu;

const COUNT: usize = 1_000_000;

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"];

/// How they lie in time.
#[derive(Clone, Copy)]
pub(crate) enum Spread {
    /// Every day at any minute: as schedules are.
    Minutes,
    /// Once a year at any second: hardly two at the same.
    Seconds,
}

impl Spread {
    /// The one that a child is to measure.
    pub(crate) fn of(argument: &str) -> Option<Self> {
        match argument {
            "million-minutes" => Some(Self::Minutes),
            "million-seconds" => Some(Self::Seconds),
            _ => None,
        }
    }

    fn expression(self, random: &mut Rng) -> String {
        let (minute, hour) = (random.u8(..60), random.u8(..24));
        match self {
            Self::Minutes => format!("{minute} {hour} * * *"),
            Self::Seconds => {
                let (second, day, month) = (random.u8(..60), random.u8(1..29), random.u8(1..13));
                format!("{second} {minute} {hour} {day} {month} *")
            }
        }
    }

    /// In how long each of them fires once, and how often the clock is looked at meanwhile.
    fn round(self) -> (SignedDuration, SignedDuration) {
        match self {
            Self::Minutes => (SignedDuration::from_hours(24), SignedDuration::from_mins(1)),
            Self::Seconds => (
                SignedDuration::from_hours(365 * 24),
                SignedDuration::from_hours(1),
            ),
        }
    }
}

/// Each row is measured by a process of its own.
pub(crate) fn table() -> Table<4> {
    let mut table = Table::new(["a million schedules", "", "", "goal"]);
    table.row([
        String::new(),
        "every day, any minute".to_owned(),
        "every year, any second".to_owned(),
        String::new(),
    ]);
    let [minutes, seconds] = ["million-minutes", "million-seconds"].map(measured);
    let goals = ["", "200 bytes", "1 µs"];
    let what = ["added, each", "memory beyond their names, each", "a firing"];
    for (((what, minutes), seconds), goal) in what.into_iter().zip(minutes).zip(seconds).zip(goals)
    {
        table.row([what.to_owned(), minutes, seconds, goal.to_owned()]);
    }
    table
}

fn measured(what: &str) -> Vec<String> {
    let myself = env::current_exe().expect("it runs from a file");
    let output = Command::new(myself).arg(what).output().expect("a process");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

/// Prints a line for each thing that is measured.
pub(crate) fn child(spread: Spread) {
    let mut random = Rng::with_seed(1);
    let zones = ZONES.map(|zone| Zone::named(zone).expect("a zone"));
    let start: Timestamp = "2026-03-01T00:00:00Z".parse().expect("an instant");
    let mut timeline = Timeline::new();
    let (before, started) = (resident(), on_cpu());
    let mut text = 0;
    for number in 0..COUNT {
        let name = format!("schedule-{number}");
        text += name.len();
        let expression = spread.expression(&mut random);
        let cron = Cron::parse(&expression).expect("an expression");
        let zone = zones[number % zones.len()].clone();
        timeline
            .insert(&name, Schedule::cron(cron).in_zone(zone), start)
            .expect("it fires");
    }
    println!("{} ns", (on_cpu() - started).as_nanos() / COUNT as u128);
    println!("{} bytes", (resident() - before - text) / COUNT);

    let (round, look) = spread.round();
    let (mut now, mut fired, started) = (start, 0_u32, on_cpu());
    while now < start + round {
        now += look;
        while let Some(firing) = timeline.pop(now) {
            assert_eq!(firing.due.runs.len(), 1);
            fired += 1;
        }
    }
    assert!(fired as usize >= COUNT, "each of them fires");
    println!("{} ns", (on_cpu() - started).as_nanos() / u128::from(fired));
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: usize = kib.and_then(|kib| kib.parse().ok()).expect("it is in KiB");
    kib * 1024
}
