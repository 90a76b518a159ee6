#![no_main]

#[path = "../../crates/state/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::journal_record(data));
