//! Each thing the strict reader checks, made wrong alone: it is refused for that, and by every way in.

mod craft;

use craft::{End, Entry, Header, covered, with_manifest, zip, zip_with};
use stillpoint_archive::{
    Digest, Limits, OpenOptions, Refusal, VerifyLevel, Watch, verify, verify_stream,
};

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

macro_rules! is {
    ($pattern:pat) => {
        |reason| matches!(reason, $pattern)
    };
}

#[test]
fn what_is_right_opens() {
    let lone = zip(&[hello(), Entry::new("d/", b""), Entry::new("d/x", b"x")]);
    assert_eq!(verdicts(&lone, &OpenOptions::new()), [None, None]);
}

/// Both headers agree, and what they say is not allowed.
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
fn headers_that_disagree() {
    let cases: [(&str, Change<Header>); 8] = [
        ("the name", |h| h.name = b"hellO.txt".to_vec()),
        ("the flags", |h| h.flags = 1 << 11),
        ("the method", |h| h.method = 8),
        ("the time", |h| h.time = 1),
        ("the version", |h| h.version = 21),
        ("the CRC-32", |h| h.crc ^= 1),
        ("the stored size", |h| h.stored = 4),
        ("the size", |h| h.size = 4),
    ];
    for (field, change) in cases {
        let mut entry = hello();
        change(&mut entry.local);
        let bytes = zip(&[entry]);
        let [seeking, passing] = verdicts(&bytes, &OpenOptions::new());
        assert_eq!(seeking, Some(Refusal::HeaderMismatch(field)));
        assert!(passing.is_some(), "{field}");
    }
    let mut entry = hello();
    entry.shift = 1;
    refused("an offset", &zip(&[entry.clone()]), is!(Refusal::Gap(1)));
    entry.shift = -1;
    let moved = zip(&[Entry::new("first", b"1"), entry]);
    refused("an offset into another", &moved, is!(Refusal::Overlap));
}

fn deflated() -> Entry {
    // One block of codes that are fixed: "hello", and its end.
    let data = [0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let mut entry = hello().both(|h| (h.method, h.flags, h.stored) = (8, 8, 7));
    entry.data = data.to_vec();
    (entry.local.crc, entry.local.stored, entry.local.size) = (0, 0, 0);
    entry.descriptor = b"PK\x07\x08".to_vec();
    for value in [entry.central.crc, 7, 5] {
        entry.descriptor.extend(value.to_le_bytes());
    }
    entry
}

#[test]
fn descriptors_agree_with_the_directory() {
    assert_eq!(
        verdicts(&zip(&[deflated()]), &OpenOptions::new()),
        [None, None]
    );
    for at in 0..16 {
        let mut entry = deflated();
        entry.descriptor[at] ^= 1;
        refused(
            "its descriptor",
            &zip(&[entry]),
            is!(Refusal::DescriptorMismatch),
        );
    }
    let mut entry = deflated();
    entry.local.size = 5;
    refused(
        "sizes before",
        &zip(&[entry]),
        is!(Refusal::HeaderMismatch("the size")),
    );
    let mut entry = deflated();
    entry.data.push(0);
    entry.central.stored = 8;
    entry.descriptor[8] = 8;
    refused(
        "data after its end",
        &zip(&[entry]),
        is!(Refusal::TrailingData(1) | Refusal::DamagedData(_)),
    );
    let mut entry = deflated();
    entry.central.size = 6;
    entry.descriptor[12] = 6;
    refused(
        "a longer content",
        &zip(&[entry]),
        is!(Refusal::SizeMismatch { .. }),
    );
}

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
fn every_byte_belongs_to_an_entry() {
    let (a, b) = (Entry::new("a", b"1"), Entry::new("b", b"2"));
    let between = zip_with(&[a.clone(), b.clone()], b"junk", |_| {});
    refused("before the directory", &between, is!(Refusal::Gap(4)));
    let mut padded = a.clone();
    padded.descriptor = b"junk".to_vec();
    refused(
        "between entries",
        &zip(&[padded, b.clone()]),
        is!(Refusal::Gap(4)),
    );
    // Both names for one local header.
    let mut twin = b.clone();
    (twin.local.name, twin.shift) = (b"a".to_vec(), -32);
    refused("one header, two records", &zip(&[a.clone(), twin]), |_| {
        true
    });
    let mut long = a;
    (long.local.stored, long.local.size) = (33, 33);
    (long.central.stored, long.central.size) = (33, 33);
    refused(
        "an entry over the next",
        &zip(&[long, b]),
        is!(Refusal::Overlap),
    );
}

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

const METADATA: &[u8] = br#"{"format":"stillpoint"}"#;

/// The lines of a manifest that is right, for `metadata.json`, `a` and `META-INF/`.
fn lines() -> Vec<String> {
    let file = |path: &str, content: &[u8]| {
        let (size, sha256) = (content.len(), Digest::of(content));
        format!(
            r#"{{"path":"{path}","size":{size},"stored":{size},"sha256":"{sha256}","mode":"0644","class":"internal"}}"#
        )
    };
    let header = r#"{"format":"stillpoint","format_version":"1.0.0","min_reader":"1.0.0","profile":"native","snapshot_id":"1","hash":"sha256","chunk":1048576}"#;
    vec![
        header.to_owned(),
        file("metadata.json", METADATA),
        file("a", b"1"),
        r#"{"path":"META-INF/","mode":"0755"}"#.to_owned(),
    ]
}

/// The text, its end line made to fit.
fn text(lines: &[String]) -> Vec<u8> {
    let mut text = lines.join("\n").into_bytes();
    text.push(b'\n');
    let root = Digest::of(&text);
    let (entries, bytes) = (lines.len() - 1, METADATA.len() + 1);
    let end = format!(r#"{{"end":true,"entries":{entries},"bytes":{bytes},"root":"{root}"}}"#);
    text.extend(end.as_bytes());
    text.push(b'\n');
    text
}

fn payload() -> Vec<Entry> {
    vec![Entry::new("metadata.json", METADATA), Entry::new("a", b"1")]
}

#[test]
fn the_manifest_and_the_archive_agree() {
    let right = with_manifest(payload(), &text(&lines()));
    assert_eq!(verdicts(&right, &OpenOptions::new()), [None, None]);
    let cases: [(&str, Change<Vec<String>>); 12] = [
        ("another path", |l| l[2] = l[2].replace(r#""a""#, r#""b""#)),
        ("another size", |l| {
            l[2] = l[2].replace(r#""size":1"#, r#""size":2"#);
        }),
        ("another stored size", |l| {
            l[2] = l[2].replace(r#""stored":1"#, r#""stored":2"#);
        }),
        ("another mode", |l| l[2] = l[2].replace("0644", "0600")),
        ("no mode", |l| l[2] = l[2].replace(r#","mode":"0644""#, "")),
        ("no hash", |l| l[2] = l[2].replace("sha256", "sha512")),
        ("another hash", |l| {
            l[2] = l[2].replace(&Digest::of(b"1").to_string(), &"0".repeat(64));
        }),
        ("a seal", |l| {
            l[2] = l[2].replace(r#","class""#, r#","seal":{"salt":"","size":1},"class""#);
        }),
        ("one missing", |l| drop(l.remove(2))),
        ("one too many", |l| l.push(l[2].replace(r#""a""#, r#""b""#))),
        ("another order", |l| l.swap(1, 2)),
        ("a folder with content", |l| {
            l[3] = l[3].replace(r#","mode""#, r#","size":0,"mode""#);
        }),
    ];
    for (what, change) in cases {
        let mut lines = lines();
        change(&mut lines);
        let bytes = with_manifest(payload(), &text(&lines));
        refused(
            what,
            &bytes,
            is!(Refusal::ManifestMismatch(_) | Refusal::HashMismatch),
        );
    }
}

#[test]
fn the_manifest_is_whole() {
    let cases: [(&str, Change<String>); 8] = [
        ("its root", |t| *t = t.replace(r#""root":"#, r#""toor":"#)),
        ("its entries", |t| {
            *t = t.replace(r#""entries":3"#, r#""entries":4"#);
        }),
        ("its bytes", |t| {
            *t = t.replace(r#""bytes":24"#, r#""bytes":25"#);
        }),
        ("text after it", |t| t.push('x')),
        ("its last line end", |t| {
            t.pop();
        }),
        ("its end line", |t| t.truncate(t.find(r#"{"end""#).unwrap())),
        ("a line that says nothing", |t| {
            t.insert_str(t.find(r#"{"path":"a""#).unwrap(), "{}\n");
        }),
        ("chunks of nothing", |t| {
            t.insert_str(
                t.find(r#"{"path":"META"#).unwrap(),
                "{\"chunks\":[[1,1]]}\n",
            );
        }),
    ];
    for (what, change) in cases {
        let mut text = String::from_utf8(text(&lines())).unwrap();
        change(&mut text);
        let bytes = with_manifest(payload(), text.as_bytes());
        refused(
            what,
            &bytes,
            is!(Refusal::BadDocument { .. } | Refusal::ManifestMismatch(_)),
        );
    }
    let versions: [(&str, &str, Reason); 6] = [
        (
            r#""format":"stillpoint""#,
            r#""format":"other""#,
            is!(Refusal::BadDocument { .. }),
        ),
        (
            r#""min_reader":"1.0.0""#,
            r#""min_reader":"1.1.0""#,
            is!(Refusal::NewerFormat { .. }),
        ),
        (
            r#"_version":"1.0.0""#,
            r#"_version":"2.0.0""#,
            is!(Refusal::NewerFormat { .. }),
        ),
        (
            r#"_version":"1.0.0""#,
            r#"_version":"one""#,
            is!(Refusal::BadDocument { .. }),
        ),
        (
            r#""hash":"sha256""#,
            r#""hash":"md5""#,
            is!(Refusal::BadDocument { .. }),
        ),
        (
            r#""chunk":1048576"#,
            r#""chunk":65536"#,
            is!(Refusal::BadDocument { .. }),
        ),
    ];
    for (is, becomes, reason) in versions {
        let mut lines = lines();
        lines[0] = lines[0].replace(is, becomes);
        refused(becomes, &with_manifest(payload(), &text(&lines)), reason);
    }
    let mut newer = lines();
    newer[0] = newer[0].replace(r#"_version":"1.0.0""#, r#"_version":"1.9.0","more":1"#);
    let newer = with_manifest(payload(), &text(&newer));
    assert_eq!(
        verdicts(&newer, &OpenOptions::new()),
        [None, None],
        "a minor version is read"
    );
}

#[test]
fn the_manifest_is_where_it_belongs() {
    let mismatch: Reason = is!(Refusal::ManifestMismatch(_));
    let folder = || Entry::new("META-INF/", b"");
    let manifest = || Entry::new("META-INF/MANIFEST.jsonl", &text(&lines()));
    let whole = || [payload(), vec![folder()]].concat();
    let lost = zip(&payload());
    refused("it is gone", &lost, mismatch);
    let signature = Entry::new("META-INF/MANIFEST.sig", b"s");
    let alone = zip(&[Entry::new("x", b""), signature]);
    refused("a signature alone", &alone, mismatch);
    let after = zip(&[whole(), vec![manifest(), Entry::new("z", b"")]].concat());
    refused("an entry after it", &after, mismatch);
    let uncovered = zip(&[whole(), vec![manifest()]].concat());
    refused("nothing covers it", &uncovered, mismatch);
    let mut other = covered(whole(), manifest(), |_| {});
    let at = other.len() - 22 - 1;
    other[at] ^= 1;
    refused("another coverage", &other, is!(Refusal::Coverage { .. }));
    let swapped = [
        vec![Entry::new("a", b"1")],
        vec![payload()[0].clone(), folder()],
    ]
    .concat();
    let mut order = lines();
    order.swap(1, 2);
    let second = Entry::new("META-INF/MANIFEST.jsonl", &text(&order));
    refused(
        "metadata is not first",
        &covered(swapped, second, |_| {}),
        mismatch,
    );
    let mut unusual = whole();
    unusual[1].internal = 1;
    refused(
        "internal attributes",
        &covered(unusual, manifest(), |_| {}),
        mismatch,
    );
    let mut unusual = whole();
    unusual[1].made_by = 0x0314;
    refused(
        "made by another",
        &covered(unusual, manifest(), |_| {}),
        mismatch,
    );
    let mut unusual = whole();
    unusual[1].attributes |= 1;
    refused(
        "other attributes",
        &covered(unusual, manifest(), |_| {}),
        mismatch,
    );
    let implied = [vec![
        Entry::new("metadata.json", METADATA),
        Entry::new("a", b"1"),
    ]]
    .concat();
    let mut bare = lines();
    bare.pop();
    let bare = Entry::new("META-INF/MANIFEST.jsonl", &text(&bare));
    refused(
        "a folder without an entry",
        &covered(implied, bare, |_| {}),
        mismatch,
    );
}
