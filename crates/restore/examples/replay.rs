//! Shows a journal record by record: `cargo run -p stillpoint-restore --example replay -- FILE`.
//!
//! The file holds the plan as JSON on its first line and one record a line after that: what a failing check prints.
//! Without a file it shows a small job of its own, whose driver dies in the middle.

use std::{env, error::Error, fs};

use serde_json::Value;
use stillpoint_restore::{Machine, Plan, Record};

const SAMPLE: &str = include_str!("../testdata/crash.jsonl");

fn main() -> Result<(), Box<dyn Error>> {
    let text = match env::args().nth(1) {
        Some(path) => fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?,
        None => SAMPLE.to_owned(),
    };
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let plan = lines
        .next()
        .ok_or("the file is empty; its first line is the plan")?;
    let plan: Plan<Value> = serde_json::from_str(plan)?;
    println!("{}\n", plan.tree());

    let mut machine: Machine<Value, Value> = Machine::new(plan);
    for (number, line) in lines.enumerate() {
        let record: Record<Value> =
            serde_json::from_str(line).map_err(|error| format!("record {number}: {error}"))?;
        machine
            .apply(&record)
            .map_err(|error| format!("record {number}: {error}"))?;
        println!("{number}: {line}\n{}", machine.tree());
        let next = machine.ready(machine.clock());
        println!(
            "next: {next:?}, again at {:?}\n",
            machine.wakeup(machine.clock())
        );
    }
    Ok(())
}
