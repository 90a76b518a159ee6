//! Cron, a million schedules, retention and forecast: nanoseconds and bytes, beside the crates that
//! people use for cron today. With names of parts after `--`, these alone.

mod cpu;
mod inventory;
mod million;
mod next;
mod parse;
mod peers;

use std::env;

type Part = fn() -> String;

const PARTS: [(&str, Part); 4] = [
    ("next", || next::table().to_string()),
    ("parse", || parse::table().to_string()),
    ("million", || million::table().to_string()),
    ("inventory", || inventory::table().to_string()),
];

fn main() {
    // Cargo says `--bench`, too.
    let names: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let Some(spread) = names.iter().find_map(|name| million::Spread::of(name)) {
        // A process of its own, so that what others left in the heap is not taken for free.
        million::child(spread);
        return;
    }
    for (name, part) in PARTS {
        if names.is_empty() || names.iter().any(|it| it == name) {
            println!("{}", part());
        }
    }
}
