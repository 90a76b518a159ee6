use stillpoint_archive::{Archive, OpenOptions, Refusal, Result};

use crate::craft::{Entry, zip, zip_with};
use crate::{is, refused};

/// Opens as an archive that is far away: local headers are looked at with their entries.
fn remote(zip: Vec<u8>) -> Result<Archive> {
    OpenOptions::new().headers_on_read().open_source(zip)
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

/// From the directory alone: between two entries there is room for the headers of a writer of
/// ours, and for nothing else.
#[test]
fn far_away_there_is_no_room_between_entries() {
    for (flags, headers) in [(0, [0, 20]), (8, [16, 44])] {
        for room in 0..64 {
            let mut entry = Entry::new("a", b"1").both(|h| h.method = 8);
            entry = entry.both(|h| h.flags = flags);
            entry.descriptor = vec![0; room];
            let bytes = zip(&[entry, Entry::new("b", b"2")]);
            let opened = remote(bytes).map(drop);
            let opened = opened.map_err(|error| error.refusal().unwrap().clone());
            match headers.contains(&room) {
                true => assert_eq!(opened, Ok(()), "{flags} {room}"),
                false => assert_eq!(opened, Err(Refusal::Gap(room as u64)), "{flags} {room}"),
            }
        }
    }
}

/// A local header that is longer than the directory let expect shifts the content, to where the
/// next entry is, and all sums are right.
#[test]
fn far_away_an_entry_ends_before_the_next_one() {
    let next = Entry::new("b", b"2");
    let alone = zip(std::slice::from_ref(&next));
    let content = [b"0123456789", &alone[..20]].concat();
    let mut entry = Entry::new("a", &content);
    entry.local.extra = [1u16.to_le_bytes(), 16u16.to_le_bytes()].concat();
    let size = content.len() as u64;
    entry
        .local
        .extra
        .extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    (entry.local.size, entry.local.stored) = (u32::MAX, u32::MAX);
    entry.local.version = 45;
    entry.data.truncate(10);
    let archive = remote(zip(&[entry, next])).unwrap();
    assert_eq!(archive.read("b").unwrap(), b"2");
    let error = archive.read("a").unwrap_err();
    assert_eq!(error.refusal(), Some(&Refusal::Overlap), "{error}");
}
