//! What a manifest has to say.

use stillpoint_archive::{Digest, OpenOptions, Refusal};

use crate::craft::{Entry, with_manifest};
use crate::{Change, Reason, is, refused, verdicts};

pub(crate) const METADATA: &[u8] = br#"{"format":"stillpoint"}"#;

/// The lines of a manifest that is right, for `metadata.json`, `a` and `META-INF/`.
pub(crate) fn lines() -> Vec<String> {
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
pub(crate) fn text(lines: &[String]) -> Vec<u8> {
    let mut text = lines.join("\n").into_bytes();
    text.push(b'\n');
    let root = Digest::of(&text);
    let (entries, bytes) = (lines.len() - 1, METADATA.len() + 1);
    let end = format!(r#"{{"end":true,"entries":{entries},"bytes":{bytes},"root":"{root}"}}"#);
    text.extend(end.as_bytes());
    text.push(b'\n');
    text
}

pub(crate) fn payload() -> Vec<Entry> {
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
fn what_is_kept_of_a_line_is_short() {
    let with = |seal: &str| {
        let mut lines = lines();
        lines[2] = lines[2].replace(r#","class""#, &format!(r#"{seal},"class""#));
        if seal.contains("salt") {
            lines[2] = lines[2].replace(r#""a""#, r#""a.sealed""#);
        }
        let name = if seal.contains("salt") {
            "a.sealed"
        } else {
            "a"
        };
        let metadata = Entry::new("metadata.json", METADATA);
        with_manifest(vec![metadata, Entry::new(name, b"1")], &text(&lines))
    };
    let salt = |digits| format!(r#","seal":{{"salt":"{}","size":1}}"#, "0".repeat(digits));
    let component = |length| format!(r#","component":"{}""#, "c".repeat(length));
    for right in [salt(32), component(1024)] {
        assert_eq!(verdicts(&with(&right), &OpenOptions::new()), [None, None]);
    }
    let long = with(&salt(33));
    refused("a long salt", &long, is!(Refusal::ManifestMismatch(_)));
    let long = with(&component(1025));
    refused("a long name", &long, is!(Refusal::BadDocument { .. }));
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
