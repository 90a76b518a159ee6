#![no_main]

#[path = "../../../crates/archive/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::open(data));
