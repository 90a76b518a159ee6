#![no_main]

#[path = "../../crates/restore/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::journal_replay(data));
