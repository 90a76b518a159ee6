//! Records applied a second, beside what reading the same records from JSON takes: a replay does
//! both.

use std::sync::Arc;

use jiff::Timestamp;
use stillpoint_benches::{Laps, Table, setting};
use stillpoint_restore::{Bracket, Directive, Event, Machine, Outcome, Plan, Record, Step};

const STEPS: usize = 200;

/// Replays in a lap, so that a lap is long against the clock.
const REPLAYS: usize = 100;

fn main() {
    let plan = Arc::new(fan_out());
    let journal = drive(&plan);
    let lines: Vec<String> = journal
        .iter()
        .map(|record| serde_json::to_string(record).expect("a record has a JSON form"))
        .collect();
    let (mut applied, mut decoded) = (Laps::default(), Laps::default());
    for _ in 0..setting("STILLPOINT_BENCH_ROUNDS", 25) {
        applied.time(|| {
            for _ in 0..REPLAYS {
                let machine = Machine::replay(plan.clone(), &journal).expect("a machine wrote it");
                assert_eq!(machine.outcome(), Some(Outcome::Completed));
            }
        });
        decoded.time(|| {
            for _ in 0..REPLAYS {
                for (line, record) in lines.iter().zip(&journal) {
                    let read: Record<u64> = serde_json::from_str(line).expect("it was written so");
                    assert_eq!(read.at, record.at);
                }
            }
        });
    }
    let records = journal.len() * REPLAYS;
    let rate = |laps: &Laps| {
        let a_second = records as f64 / laps.median().as_secs_f64();
        format!("{:.2} million", a_second / 1e6)
    };
    let mut table = Table::new(["machine", "records a second", "goal"]);
    table.row([
        format!("applied, a plan of {} steps", STEPS + 1),
        rate(&applied),
        "1 million".to_owned(),
    ]);
    table.row([
        "read from JSON by serde_json".to_owned(),
        rate(&decoded),
        String::new(),
    ]);
    println!("{table}");
}

/// Volumes behind a lock, at most ten at once, and then the point of no return.
fn fan_out() -> Plan<u32> {
    let mut plan = Plan::builder();
    let mut swap = Step::new("swap", 0).pivot();
    let mut lock = Bracket::new("lock", 1, 2).covers("swap");
    for number in 0..STEPS {
        let name = format!("volume/{number}");
        let mut step = Step::new(name.as_str(), 3).undo(4);
        if let Some(before) = number.checked_sub(10) {
            step = step.needs(format!("volume/{before}"));
        }
        plan = plan.step(step);
        swap = swap.needs(name.as_str());
        lock = lock.covers(name.as_str());
    }
    plan.step(swap)
        .bracket(lock)
        .build()
        .expect("the plan is sound")
}

/// The journal of a run in which every call is accepted and then done.
fn drive(plan: &Arc<Plan<u32>>) -> Vec<Record<u64>> {
    let mut machine = Machine::new(plan.clone());
    let mut journal = Vec::new();
    let at = Timestamp::UNIX_EPOCH;
    while machine.outcome().is_none() {
        for directive in machine.ready(at) {
            let Directive::Begin(call) = directive else {
                unreachable!("nothing is lost here")
            };
            let attempt = machine.attempt(call);
            for event in [
                Event::Begun { call, attempt },
                Event::Accepted {
                    call,
                    ticket: "req-6f1c".to_owned(),
                },
                Event::Done {
                    call,
                    output: 7,
                    twins: Vec::new(),
                },
            ] {
                let record = Record {
                    at,
                    epoch: 0,
                    event,
                };
                machine.apply(&record).expect("it was asked for");
                journal.push(record);
            }
        }
    }
    journal
}
