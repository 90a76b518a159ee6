//! The seeds of the fuzzer, and what it found worth keeping, run on every test.

mod fuzz;

use std::fs;

#[test]
fn resource_ref() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/fuzz/resource_ref");
    let mut inputs = 0;
    for file in fs::read_dir(corpus).unwrap() {
        fuzz::resource_ref(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "{inputs} inputs");
}
