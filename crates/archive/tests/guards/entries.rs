use stillpoint_archive::cloudify::Snapshot;
use stillpoint_archive::{Limits, OpenOptions, Refusal};

use crate::craft::{Entry, Header, zip};
use crate::{Change, Reason, hello, is, refused, verdicts};

#[test]
fn what_no_entry_may_be() {
    type Case = (&'static str, Entry, Reason);
    let named = |name: &str| Entry::new(name, b"x");
    let both = |change: Change<Header>| hello().both(change);
    let with = |change: Change<Entry>| {
        let mut entry = hello();
        change(&mut entry);
        entry
    };
    let cases: Vec<Case> = vec![
        ("control", named("a\u{1}b"), is!(Refusal::ControlInName)),
        ("delete", named("a\u{7f}b"), is!(Refusal::ControlInName)),
        ("backslash", named("a\\b"), is!(Refusal::BackslashInName)),
        ("absolute", named("/a"), is!(Refusal::AbsoluteName)),
        ("drive", named("c:a"), is!(Refusal::DriveName)),
        ("dots", named("a/../b"), is!(Refusal::BadComponent)),
        ("stream", named("ab:c"), is!(Refusal::DeviceName)),
        ("device", named("a/nul.txt"), is!(Refusal::DeviceName)),
        (
            "long",
            named(&"n".repeat(1025)),
            is!(Refusal::Limit { limit: 1024, .. }),
        ),
        (
            "deep",
            named(&["d"; 65].join("/")),
            is!(Refusal::Limit { limit: 64, .. }),
        ),
        ("unmarked", named("\u{e4}"), is!(Refusal::BadUtf8)),
        ("encrypted", both(|h| h.flags = 1), is!(Refusal::Encrypted)),
        (
            "hints",
            both(|h| h.flags = 2),
            is!(Refusal::UnsupportedFlags(2)),
        ),
        (
            "patched",
            both(|h| h.flags = 1 << 5),
            is!(Refusal::UnsupportedFlags(32)),
        ),
        (
            "method",
            both(|h| h.method = 12),
            is!(Refusal::UnsupportedMethod(12)),
        ),
        (
            "version",
            both(|h| h.version = 64),
            is!(Refusal::UnsupportedVersion(64)),
        ),
        (
            "descriptor",
            both(|h| h.flags = 8),
            is!(Refusal::EndUnmarked),
        ),
        (
            "extra",
            both(|h| h.extra = vec![0x55, 0x54, 0, 0]),
            is!(Refusal::ExtraField(0x5455)),
        ),
        (
            "half an extra",
            both(|h| h.extra = vec![1, 0, 9]),
            is!(Refusal::ExtraField(0)),
        ),
        (
            "long extra",
            both(|h| h.extra = vec![1, 0, 9, 0]),
            is!(Refusal::ExtraField(1)),
        ),
        (
            "needless ZIP64",
            both(|h| h.extra = [&[1, 0, 16, 0][..], &[0; 16]].concat()),
            is!(Refusal::Zip64),
        ),
        (
            "two ZIP64",
            with(|e| e.central.extra = vec![1, 0, 0, 0, 1, 0, 0, 0]),
            is!(Refusal::Zip64),
        ),
        (
            "a coverage of its own",
            with(|e| e.central.extra = vec![0x53, 0x50, 4, 0, 1, 2, 3, 4]),
            is!(Refusal::ManifestMismatch(_)),
        ),
        ("disk", with(|e| e.disk = 1), is!(Refusal::MultiDisk)),
        (
            "comment",
            with(|e| e.comment = "PK"),
            is!(Refusal::Comment(2)),
        ),
        (
            "link",
            with(|e| e.attributes = 0o120_777 << 16),
            is!(Refusal::FileType(_)),
        ),
        (
            "pipe",
            with(|e| e.attributes = 0o010_644 << 16),
            is!(Refusal::FileType(_)),
        ),
        (
            "device node",
            with(|e| e.attributes = 0o060_644 << 16),
            is!(Refusal::FileType(_)),
        ),
        (
            "socket",
            with(|e| e.attributes = 0o140_644 << 16),
            is!(Refusal::FileType(_)),
        ),
        (
            "folder as file",
            with(|e| e.attributes = 0o040_755 << 16),
            is!(Refusal::FileType(_)),
        ),
        (
            "DOS folder",
            with(|e| (e.made_by, e.attributes) = (20, 16)),
            is!(Refusal::FileType(_)),
        ),
        (
            "set-uid",
            with(|e| e.attributes = 0o104_755 << 16),
            is!(Refusal::Mode(0o4755)),
        ),
        (
            "a folder with data",
            Entry::new("d/", b"x"),
            is!(Refusal::DirectoryWithData),
        ),
        (
            "a deflated folder",
            Entry::new("d/", b"").both(|h| h.method = 8),
            is!(Refusal::DirectoryWithData),
        ),
        (
            "a folder with a CRC",
            Entry::new("d/", b"").both(|h| h.crc = 1),
            is!(Refusal::DirectoryWithData),
        ),
        (
            "stored and packed",
            both(|h| h.size = 6),
            is!(Refusal::SizeMismatch { .. }),
        ),
        (
            "CRC",
            both(|h| h.crc ^= 1),
            is!(Refusal::CrcMismatch { .. }),
        ),
    ];
    for (what, entry, reason) in cases {
        refused(what, &zip(&[entry]), reason);
    }
}

/// The two headers of an entry say different things.

#[test]
fn entries_that_cannot_stand_together() {
    let cases: [(&str, &str, Reason); 7] = [
        ("a", "a", is!(Refusal::Duplicate)),
        ("a", "A", is!(Refusal::CaseTwin { .. })),
        ("d/a", "D/b", is!(Refusal::CaseTwin { .. })),
        ("a", "a/", is!(Refusal::FileAsFolder { .. })),
        ("a/", "a", is!(Refusal::FileAsFolder { .. })),
        ("a/b", "a", is!(Refusal::FileAsFolder { .. })),
        ("a", "a/b", is!(Refusal::FileAsFolder { .. })),
    ];
    for (first, second, reason) in cases {
        let bytes = zip(&[Entry::new(first, b""), Entry::new(second, b"")]);
        refused(&format!("{first} {second}"), &bytes, reason);
    }
}

#[test]
fn folders_that_are_only_implied_count() {
    let deep = zip(&[Entry::new("1/2/3/x", b"x")]);
    let most = |entries| {
        let limits = Limits {
            entries,
            ..Limits::default()
        };
        verdicts(&deep, &OpenOptions::new().limits(limits))
    };
    assert_eq!(most(4), [None, None]);
    for verdict in most(3) {
        assert!(matches!(verdict, Some(Refusal::Limit { limit: 3, .. })));
    }
}

#[test]
fn metadata_that_is_no_document_is_not_held() {
    let long = format!(
        r#"{{"snapshot_version":"7.1.0","a":"{}"}}"#,
        "a".repeat(2 << 20)
    );
    let archive = zip(&[Entry::new("metadata.json", long.as_bytes())]);
    let archive = OpenOptions::new().open_source(archive).unwrap();
    let error = Snapshot::of(&archive).unwrap_err();
    let refusal = error.refusal();
    assert!(matches!(refusal, Some(Refusal::Limit { .. })), "{error}");
}
