//! How many records a machine applies a second: `cargo bench -p stillpoint-restore`.
//!
//! A fan-out of 200 steps behind a lock and before a pivot, each with an acceptance and one failed attempt.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use stillpoint_restore::{
    Bracket, Directive, Event, Failure, Left, Machine, Outcome, Plan, Record, Retryable, Step,
};

const STEPS: usize = 200;

fn main() {
    let plan = std::sync::Arc::new(plan());
    let journal = journal(&plan);
    let started = Instant::now();
    let mut applied = 0;
    while started.elapsed() < Duration::from_secs(3) {
        let machine = Machine::replay(plan.clone(), &journal).expect("it was written by a machine");
        assert_eq!(machine.outcome(), Some(Outcome::Completed));
        applied += journal.len();
    }
    let rate = applied as f64 / started.elapsed().as_secs_f64();
    println!(
        "{applied} records applied, {:.2} million a second",
        rate / 1e6
    );
}

fn plan() -> Plan<u32> {
    let mut builder = Plan::builder();
    let mut pivot = Step::new("swap", 0).pivot();
    let mut lock = Bracket::new("lock", 1, 2).covers("swap");
    for number in 0..STEPS {
        let name = format!("volume/{number}");
        let mut step = Step::new(name.as_str(), 3).undo(4);
        if number >= 10 {
            step = step.needs(format!("volume/{}", number - 10));
        }
        builder = builder.step(step);
        pivot = pivot.needs(name.as_str());
        lock = lock.covers(name.as_str());
    }
    builder
        .step(pivot)
        .bracket(lock)
        .build()
        .expect("the plan is sound")
}

fn journal(plan: &std::sync::Arc<Plan<u32>>) -> Vec<Record<u64>> {
    let mut machine = Machine::new(plan.clone());
    let mut journal = Vec::new();
    let mut now = Timestamp::UNIX_EPOCH;
    while machine.outcome().is_none() {
        for directive in machine.ready(now) {
            let Directive::Begin(call) = directive else {
                unreachable!("nothing is lost here")
            };
            let attempt = machine.attempt(call);
            let failure = Failure {
                left: Left::Nothing,
                message: "busy".to_owned(),
                retry: Retryable::After(jiff::SignedDuration::ZERO),
            };
            let end = if attempt == 1 {
                Event::Failed { call, failure }
            } else {
                Event::Done {
                    call,
                    output: 7,
                    twins: Vec::new(),
                }
            };
            let accepted = Event::Accepted {
                call,
                ticket: "ticket".to_owned(),
            };
            for event in [Event::Begun { call, attempt }, accepted, end] {
                let record = Record {
                    at: now,
                    epoch: 0,
                    event,
                };
                machine.apply(&record).expect("it was asked for");
                journal.push(record);
            }
        }
        now = machine.wakeup(now).unwrap_or(now);
    }
    journal
}
