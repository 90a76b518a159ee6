#![no_main]

#[path = "../../crates/iaas/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::operation_key(data));
