//! The seeds of the fuzzer, and what it found worth keeping, run on every test.

mod fuzz;

use std::fs;

#[test]
fn journal_replay() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/fuzz/journal_replay");
    let mut inputs = 0;
    for file in fs::read_dir(corpus).unwrap() {
        fuzz::journal_replay(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 8, "{inputs} inputs");
}
