//! From text to an expression.

use std::hint::black_box;

use stillpoint_benches::{Laps, Table, setting};
use stillpoint_schedule::Cron;

use crate::cpu::time;
use crate::peers::{NAMES, croner_parser, with_seconds};

/// Parses in a lap.
const TIMES: u32 = 1000;

const EXPRESSIONS: [&str; 3] = ["0 7 * * *", "30 2 * * mon-fri", "0,15,30,45 8-18 1-7 1,6 *"];

pub(crate) fn table() -> Table<5> {
    let mut table = Table::new(["parse", NAMES[0], NAMES[1], NAMES[2], "goal"]);
    for expression in EXPRESSIONS {
        let (parser, seconds) = (croner_parser(), with_seconds(expression));
        let (mut ours, mut croner, mut cron) = (Laps::default(), Laps::default(), Laps::default());
        for _ in 0..setting("STILLPOINT_BENCH_ROUNDS", 25) {
            lap(&mut ours, || Cron::parse(black_box(expression)).is_ok());
            lap(&mut croner, || parser.parse(black_box(expression)).is_ok());
            lap(&mut cron, || {
                black_box(&seconds).parse::<cron::Schedule>().is_ok()
            });
        }
        let each = |laps: &Laps| format!("{} ns", laps.median().as_nanos() / u128::from(TIMES));
        let goal = if expression == "0 7 * * *" {
            "300 ns"
        } else {
            ""
        };
        table.row([
            format!("`{expression}`"),
            each(&ours),
            each(&croner),
            each(&cron),
            goal.to_owned(),
        ]);
    }
    table
}

fn lap(laps: &mut Laps, parse: impl Fn() -> bool) {
    time(laps, || {
        for _ in 0..TIMES {
            assert!(parse(), "all of them read it");
        }
    });
}
