//! Of so many entries that names, local headers and the manifest are each read by a thread.

use stillpoint_archive::{Digest, Limits, OpenOptions, Refusal};

use crate::craft::{Entry, covered, with_manifest, zip};
use crate::text::{lines, payload, text};
use crate::{Reason, is, refused, verdicts};

const MANY: usize = 5000;

fn numbered() -> Vec<Entry> {
    files(MANY)
}

fn files(count: usize) -> Vec<Entry> {
    let name = |n| format!("{n:04}");
    (0..count).map(|n| Entry::new(&name(n), b"")).collect()
}

/// The lines of the payload's manifest, with those of [`numbered`] among them.
fn listing() -> Vec<String> {
    let mut lines = lines();
    let empty = Digest::of(b"");
    let listed = numbered().into_iter().map(|entry| {
        let path = String::from_utf8(entry.central.name).unwrap();
        format!(
            r#"{{"path":"{path}","size":0,"stored":0,"sha256":"{empty}","mode":"0644","class":"internal"}}"#
        )
    });
    let folder = lines.pop().unwrap();
    lines.extend(listed);
    lines.push(folder);
    lines
}

#[test]
fn names_are_held_against_each_other() {
    let named = |at: usize, name: &str| {
        let mut entries = numbered();
        entries[at] = Entry::new(name, b"");
        entries
    };
    assert_eq!(
        verdicts(&zip(&numbered()), &OpenOptions::new()),
        [None, None]
    );
    refused(
        "a twin",
        &zip(&named(4999, "0007")),
        is!(Refusal::Duplicate),
    );
    let inside = named(4999, "0007/x");
    refused(
        "a file as folder",
        &zip(&inside),
        is!(Refusal::FileAsFolder { .. }),
    );
    let mut folded = named(10, "readme");
    folded[4990] = Entry::new("README", b"");
    refused("another case", &zip(&folded), is!(Refusal::CaseTwin { .. }));

    // Far more names are still to be given when the first is refused, and when the last is.
    for twin in [1, 29_999] {
        let mut entries = files(30_000);
        entries[twin] = Entry::new("0000", b"");
        refused("a twin of many", &zip(&entries), is!(Refusal::Duplicate));
    }

    // What is wrong with two of them is told in their order, as among few.
    let mut two = named(100, "0007");
    two[4900] = Entry::new("a\\b", b"");
    refused("twin, then bad", &zip(&two), is!(Refusal::Duplicate));
    let mut two = named(100, "a\\b");
    two[4900] = Entry::new("0007", b"");
    refused("bad, then twin", &zip(&two), is!(Refusal::BackslashInName));
}

#[test]
fn folders_without_entries_are_within_the_limit() {
    let mut entries = numbered();
    for entry in &mut entries {
        let name = [&entry.central.name[..], b"/x"].concat();
        (entry.local.name, entry.central.name) = (name.clone(), name);
    }
    let bytes = zip(&entries);
    let within = |entries| {
        let limits = Limits {
            entries,
            ..Limits::default()
        };
        verdicts(&bytes, &OpenOptions::new().limits(limits))
    };
    assert_eq!(within(2 * MANY as u64), [None, None]);
    let over = within(2 * MANY as u64 - 1);
    let is_limit = |reason: &Refusal| matches!(reason, Refusal::Limit { .. });
    assert!(
        over.iter().flatten().all(is_limit) && over[0].is_some(),
        "{over:?}"
    );
}

#[test]
fn the_manifest_is_read_to_its_end() {
    let entries = || {
        let mut entries = payload();
        entries.extend(numbered());
        entries
    };
    let lines = listing();
    let right = with_manifest(entries(), &text(&lines));
    assert_eq!(verdicts(&right, &OpenOptions::new()), [None, None]);

    let whole = text(&lines);
    let bad: Reason = is!(Refusal::BadDocument { .. });
    let cut = &whole[..whole.len() - 90];
    refused("its end is cut", &with_manifest(entries(), cut), bad);
    let more = [&whole[..], b"{}\n"].concat();
    refused("more after its end", &with_manifest(entries(), &more), bad);
    let mut changed = lines.clone();
    changed[4000] = changed[4000].replace("0644", "0600");
    let changed = with_manifest(entries(), &text(&changed));
    refused("another mode", &changed, is!(Refusal::ManifestMismatch(_)));

    // Whoever reads ahead has far more to read than anybody wants.
    let noise = [b"{}\n".repeat(3 << 20), whole.clone()].concat();
    refused("noise", &with_manifest(entries(), &noise), bad);

    // What the text says is told before what shows at its end, and local headers before both.
    let at = whole.len() - 20_000;
    let flipped = [&whole[..at], b"\x01", &whole[at + 1..]].concat();
    let mut manifest = Entry::new("META-INF/MANIFEST.jsonl", &flipped);
    manifest = manifest.both(|header| header.crc ^= 1);
    let with_folder = || [entries(), vec![Entry::new("META-INF/", b"")]].concat();
    let two = covered(with_folder(), manifest.clone(), |_| {});
    refused("its text and its checksum", &two, |reason| {
        matches!(
            reason,
            Refusal::BadDocument { .. } | Refusal::ManifestMismatch(_)
        )
    });
    let mut headers = with_folder();
    headers[70].local.crc ^= 1;
    headers[80].internal = 1;
    let three = covered(headers, manifest, |_| {});
    let header: Reason = is!(Refusal::HeaderMismatch(_));
    refused("a local header, too", &three, header);

    // Found only where the content ends, past all of its lines.
    let mut manifest = Entry::new("META-INF/MANIFEST.jsonl", &whole);
    manifest = manifest.both(|header| header.crc ^= 1);
    let damaged = covered(with_folder(), manifest, |_| {});
    refused("its checksum", &damaged, is!(Refusal::CrcMismatch { .. }));
}

/// Where there are no more threads, which is so for a whole process: for one of its own, to whose
/// threads no stack can be given.
#[test]
fn one_thread_is_enough_to_open() {
    const NO_STACK: &str = "RUST_MIN_STACK";
    let no_stack = (1u64 << 50).to_string();
    if std::env::var(NO_STACK).ok().as_ref() != Some(&no_stack) {
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--test-threads=1", "--exact"])
            .arg("thousands::one_thread_is_enough_to_open")
            .env(NO_STACK, no_stack)
            .status();
        assert!(alone.unwrap().success());
        return;
    }
    std::thread::Builder::new().spawn(|| {}).unwrap_err();
    let open = |bytes: Vec<u8>| OpenOptions::new().open_source(bytes);
    let entries = [payload(), numbered()].concat();
    let archive = open(with_manifest(entries, &text(&listing()))).unwrap();
    assert_eq!(archive.entries().len(), MANY + 4);
    assert!(archive.root().is_some());
    let mut twins = numbered();
    twins[4999] = Entry::new("0007", b"");
    let refused = open(zip(&twins)).unwrap_err();
    assert!(matches!(refused.refusal(), Some(Refusal::Duplicate)));
}
