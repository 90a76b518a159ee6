//! Each thing the strict reader checks, made wrong alone: it is refused for that, and by every way in.

#[path = "../craft/mod.rs"]
mod craft;

mod end;
mod entries;
mod headers;
mod manifest;
mod room;
mod text;
mod thousands;

use craft::{Entry, zip};
use stillpoint_archive::{OpenOptions, Refusal, VerifyLevel, Watch, verify, verify_stream};

/// A [`Reason`] of this shape.
macro_rules! is {
    ($pattern:pat) => {
        |reason| matches!(reason, $pattern)
    };
}
pub(crate) use is;

/// The two verdicts: with seeking and in passing.
fn verdicts(bytes: &[u8], options: &OpenOptions) -> [Option<Refusal>; 2] {
    let seeking = options
        .open_source(bytes.to_vec())
        .and_then(|archive| verify(&archive, VerifyLevel::Full, &Watch::none()));
    let passing = verify_stream(bytes, options, &Watch::none());
    [seeking, passing].map(|verdict| {
        let error = verdict.err()?;
        Some(error.refusal().expect("only refusals here").clone())
    })
}

/// Refused both ways, by seeking for `reason`.
#[track_caller]
fn refused(what: &str, bytes: &[u8], reason: Reason) {
    let [seeking, passing] = verdicts(bytes, &OpenOptions::new());
    let seeking = seeking.unwrap_or_else(|| panic!("{what}: it opens"));
    assert!(reason(&seeking), "{what}: {seeking}");
    assert!(passing.is_some(), "{what}: it passes");
}

/// Whether a refusal is for what is wrong.
type Reason = fn(&Refusal) -> bool;
/// Makes something wrong.
type Change<T> = fn(&mut T);

fn hello() -> Entry {
    Entry::new("hello.txt", b"hello")
}

#[test]
fn what_is_right_opens() {
    let lone = zip(&[hello(), Entry::new("d/", b""), Entry::new("d/x", b"x")]);
    assert_eq!(verdicts(&lone, &OpenOptions::new()), [None, None]);
}
