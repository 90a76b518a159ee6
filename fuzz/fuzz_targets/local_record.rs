#![no_main]

#[path = "../../crates/providers/local/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::local_record(data));
