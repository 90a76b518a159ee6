//! The seeds of the fuzzer, and what it found worth keeping, run on every test.

mod fuzz;

use std::fs;

#[test]
fn operation_key() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/fuzz/operation_key");
    let mut inputs = 0;
    for file in fs::read_dir(corpus).unwrap() {
        fuzz::operation_key(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "{inputs} inputs");
}
