//! Cron, a million schedules, retention and forecast: nanoseconds and bytes, beside the crates that
//! people use for cron today.

mod cpu;
mod inventory;
mod million;
mod next;
mod parse;
mod peers;

fn main() {
    let mut arguments = std::env::args();
    if let Some(spread) = arguments.find_map(|argument| million::Spread::of(&argument)) {
        // A process of its own, so that what others left in the heap is not taken for free.
        million::child(spread);
        return;
    }
    println!("{}", next::table());
    println!("{}", parse::table());
    println!("{}", million::table());
    println!("{}", inventory::table());
}
