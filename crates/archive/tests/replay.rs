//! What the fuzzer found worth keeping, and its seeds, run on every test.

mod fuzz;

use std::fs;

fn replay(target: &str, body: fn(&[u8])) {
    let testdata = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let mut inputs = 0;
    for folder in [
        format!("corpus/{target}"),
        "hostile".to_owned(),
        "cloudify".to_owned(),
    ] {
        let Ok(files) = fs::read_dir(format!("{testdata}/{folder}")) else {
            continue;
        };
        for file in files {
            body(&fs::read(file.unwrap().path()).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 60, "{inputs}");
}

#[test]
fn open() {
    replay("open", fuzz::open);
}

#[test]
fn stream() {
    replay("stream", fuzz::stream);
}

#[test]
fn extract() {
    replay("extract", fuzz::extract_all);
}

#[test]
fn manifest() {
    replay("manifest", fuzz::manifest);
}

#[test]
fn migrate() {
    replay("migrate", fuzz::migrate);
}
