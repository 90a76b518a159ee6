//! From one run to the next.

use std::hint::black_box;

use stillpoint_benches::{Laps, Table, setting};

use crate::cpu::time;
use crate::peers::{Contender, NAMES, contenders};

/// Answers in a lap: every expression meets a change of the clock in as many (but `*/15` that of
/// New York), and none goes on for longer than 400 years, after which the calendar repeats itself.
const CHAIN: usize = 1000;
const LEAP_DAYS: usize = 97;

/// A few days before the clocks go back, in Europe and in America.
const FROM: &str = "2026-10-20T00:00:00Z";

const EXPRESSIONS: [&str; 7] = [
    "0 7 * * *",
    "*/15 * * * *",
    "15,45 1-3 * * *",
    "30 2 * * mon-fri",
    "0 0 13 * 5",
    "0 22 L * *",
    "0 0 29 2 *",
];

const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "America/New_York"];

/// A row an expression and zone. A peer whose answers are not ours is marked, and so is one that
/// cannot read the expression: ours are those of the corpora and of the oracle of the tests.
pub(crate) fn table() -> Table<5> {
    let mut table = Table::new(["next run", NAMES[0], NAMES[1], NAMES[2], "goal"]);
    for zone in ZONES {
        let goal = if zone == "UTC" { "100 ns" } else { "200 ns" };
        for expression in EXPRESSIONS {
            let contenders = contenders(expression, zone, FROM);
            let count = if expression == "0 0 29 2 *" {
                LEAP_DAYS
            } else {
                CHAIN
            };
            let [ours, croner, cron] = measure(&contenders, count);
            let goal = if expression == "0 7 * * *" { goal } else { "" };
            let what = format!("`{expression}` {zone}");
            table.row([what, ours, croner, cron, goal.to_owned()]);
        }
    }
    table
}

fn measure(contenders: &[Contender; 3], count: usize) -> [String; 3] {
    let answers = |it: &Contender| it.as_ref().map(|it| it.chain(count));
    let right = answers(&contenders[0]);
    let mut laps = [Laps::default(), Laps::default(), Laps::default()];
    for _ in 0..setting("STILLPOINT_BENCH_ROUNDS", 25) {
        for (contender, laps) in contenders.iter().zip(&mut laps) {
            if let Some(contender) = contender {
                time(laps, || black_box(contender.chain(count)));
            }
        }
    }
    let mut columns = contenders.iter().zip(&laps).map(|(contender, laps)| {
        if contender.is_none() {
            return "not read".to_owned();
        }
        let nanoseconds = laps.median().as_nanos() / count as u128;
        let wrong = if answers(contender) == right {
            ""
        } else {
            ", wrong"
        };
        format!("{nanoseconds} ns{wrong}")
    });
    std::array::from_fn(|_| columns.next().unwrap_or_default())
}
