use stillpoint_archive::{OpenOptions, Refusal};

use crate::craft::{Entry, Header, zip};
use crate::{Change, hello, is, refused, verdicts};

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

/// The sizes are said by both headers and fit; one of them says them once more.
#[test]
fn a_local_header_has_no_zip64_field_that_its_sizes_do_not_ask_for() {
    let field = [&[1, 0, 16, 0][..], &5u64.to_le_bytes(), &5u64.to_le_bytes()].concat();
    let mut entry = hello();
    entry.local.extra = field;
    refused(
        "a needless field",
        &zip(&[entry.clone()]),
        is!(Refusal::Zip64),
    );
    let halves: [Change<Header>; 2] = [|h| h.size = u32::MAX, |h| h.stored = u32::MAX];
    for wide in halves {
        let mut half = entry.clone();
        wide(&mut half.local);
        refused("half a field", &zip(&[half]), is!(Refusal::Zip64));
    }
    // Where both ask for it, it is what a writer makes that does not know sizes beforehand.
    (entry.local.size, entry.local.stored) = (u32::MAX, u32::MAX);
    entry.local.version = 45;
    assert_eq!(verdicts(&zip(&[entry]), &OpenOptions::new()), [None, None]);
}

/// Only a stream that shows its own end may have its sizes behind it.
#[test]
fn stored_bytes_do_not_show_where_they_end() {
    let mut entry = hello().both(|h| h.flags = 8);
    (entry.local.crc, entry.local.stored, entry.local.size) = (0, 0, 0);
    entry.descriptor = b"PK\x07\x08".to_vec();
    for value in [entry.central.crc, 5, 5] {
        entry.descriptor.extend(value.to_le_bytes());
    }
    let found = verdicts(&zip(&[entry]), &OpenOptions::new());
    assert_eq!(
        found,
        [Some(Refusal::EndUnmarked), Some(Refusal::EndUnmarked)]
    );
}
