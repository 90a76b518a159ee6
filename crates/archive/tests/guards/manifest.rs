use stillpoint_archive::Refusal;

use crate::craft::{Entry, covered, zip};
use crate::text::{METADATA, lines, payload, text};
use crate::{Reason, is, refused};

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
