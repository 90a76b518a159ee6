#![no_main]

#[path = "../../crates/core/tests/fuzz/mod.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::resource_ref(data));
