use stillpoint_archive::{Limits, OpenOptions, Refusal};

use crate::craft::{End, Entry, zip, zip_with};
use crate::{Change, Reason, hello, is, refused, verdicts};

#[test]
fn the_end_tells_the_truth() {
    let cases: [(&str, Change<End>, Reason); 8] = [
        ("disk", |e| e.disk = 1, is!(Refusal::MultiDisk)),
        (
            "directory's disk",
            |e| e.directory_disk = 1,
            is!(Refusal::MultiDisk),
        ),
        ("entries here", |e| e.here = 0, is!(Refusal::WrongCounts(_))),
        (
            "fewer",
            |e| (e.here, e.entries) = (1, 1),
            is!(Refusal::WrongCounts(_)),
        ),
        (
            "more",
            |e| (e.here, e.entries) = (3, 3),
            is!(Refusal::WrongCounts(_)),
        ),
        ("size", |e| e.size -= 1, is!(Refusal::WrongCounts(_))),
        ("offset", |e| e.offset += 1, is!(Refusal::WrongCounts(_))),
        (
            "comment",
            |e| e.comment = "PK",
            is!(Refusal::NoEndRecord | Refusal::Comment(_)),
        ),
    ];
    for (what, change, reason) in cases {
        let bytes = zip_with(&[hello(), Entry::new("b", b"2")], b"", change);
        refused(what, &bytes, reason);
    }
}

/// The record says that a comment follows, and there is none.
#[test]
fn a_comment_that_is_only_announced() {
    let mut bytes = zip(&[hello()]);
    let at = bytes.len() - 2;
    bytes[at] = 2;
    refused("a comment", &bytes, is!(Refusal::Comment(2)));
}

/// All that ZIP64 says is right, and nothing asks for it.
#[test]
fn there_are_no_zip64_records_that_nothing_asks_for() {
    let plain = zip(&[hello()]);
    let (before, end) = plain.split_at(plain.len() - 22);
    let number = |at: usize| u32::from_le_bytes(end[at..at + 4].try_into().unwrap());
    let (size, offset) = (u64::from(number(12)), u64::from(number(16)));
    let mut bytes = before.to_vec();
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 3, 45, 0]);
    bytes.extend([0; 8]);
    for value in [1, 1, size, offset] {
        bytes.extend(u64::to_le_bytes(value));
    }
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend((before.len() as u64).to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(end);
    refused("needless records", &bytes, is!(Refusal::WrongCounts(_)));
    // The same records where the end asks for them.
    let at = bytes.len() - 6;
    bytes[at..at + 4].fill(0xff);
    let asked = OpenOptions::new().open_source(bytes);
    assert_eq!(asked.unwrap().entries().len(), 1);
}

#[test]
fn limits_hold() {
    let entries = [Entry::new("a", &[1; 100]), Entry::new("b", &[2; 100])];
    let bytes = zip(&entries);
    let tight = [
        Limits {
            entries: 1,
            ..Limits::default()
        },
        Limits {
            entry: 99,
            ..Limits::default()
        },
        Limits {
            total: 199,
            ..Limits::default()
        },
    ];
    for limits in tight {
        let verdicts = verdicts(&bytes, &OpenOptions::new().limits(limits.clone()));
        for verdict in verdicts {
            assert!(
                matches!(verdict, Some(Refusal::Limit { .. })),
                "{limits:?}: {verdict:?}"
            );
        }
    }
}
