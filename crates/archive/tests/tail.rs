//! The last part of an archive, from the manifest on: each of its bits, changed alone, is found; and so
//! is every length that the archive may be cut to.

use std::ops::Range;

use stillpoint_archive::{
    Class, EntryOptions, OpenOptions, SecretKey, VerifyLevel, Watch, WriteOptions, Writer, create,
    verify, verify_stream,
};

/// A small archive with all that there is in one: a folder, files, and sealed ones if asked. The
/// manifest and what it lists are in it as a stream makes them, and as a file does.
fn archive(sealed: bool, seekable: bool) -> Vec<u8> {
    let mut options = WriteOptions::new().workers(1);
    let mut about = EntryOptions::new();
    if sealed {
        options = options.seal_for(SecretKey::generate().public());
        about = about.class(Class::Secret);
    }
    let fill = |writer: &mut Writer<'_>| {
        writer.bytes("d/stored", "1", &about)?;
        writer.bytes("packed", "name: node\n".repeat(9), &about)
    };
    if seekable {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        create(&path, &options, fill).unwrap();
        return std::fs::read(path).unwrap();
    }
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, &options).unwrap();
    fill(&mut writer).unwrap();
    writer.finish().unwrap();
    bytes
}

/// An archive, and which bits of the byte at a place.
type Flips = (Vec<u8>, fn(usize) -> Range<usize>);

/// Archives, and which bits of a byte to change. All of them take their time: those that are sealed
/// are the same from the manifest on, and get one bit of each byte.
fn kinds() -> [Flips; 4] {
    let one = |at: usize| at % 8..at % 8 + 1;
    [
        (archive(false, false), |_| 0..8),
        (archive(false, true), |_| 0..8),
        (archive(true, false), one),
        (archive(true, true), one),
    ]
}

/// Whether it is refused: with seeking, and in passing.
fn refused(bytes: &[u8]) -> [bool; 2] {
    let options = OpenOptions::new();
    let seeking = options
        .open_source(bytes.to_vec())
        .and_then(|archive| verify(&archive, VerifyLevel::Full, &Watch::none()));
    let passing = verify_stream(bytes, &options, &Watch::none());
    [seeking, passing].map(|verdict| match verdict {
        Ok(_) => false,
        Err(error) => error.refusal().is_some(),
    })
}

/// Where the manifest's entry begins.
fn manifest_of(bytes: &[u8]) -> usize {
    let name = b"META-INF/MANIFEST.jsonl";
    let found = bytes.windows(name.len()).position(|it| it == name);
    found.expect("every archive of ours has one") - 30
}

#[test]
fn every_bit_from_the_manifest_on_is_found() {
    let mut flips = 0;
    for (mut bytes, bits) in kinds() {
        assert_eq!(refused(&bytes), [false, false]);
        for at in manifest_of(&bytes)..bytes.len() {
            for bit in bits(at) {
                bytes[at] ^= 1 << bit;
                let what = format!("bit {bit} of byte {at} of {}", bytes.len());
                assert_eq!(refused(&bytes), [true, true], "{what}");
                bytes[at] ^= 1 << bit;
                flips += 1;
            }
        }
    }
    assert!(flips > 10_000, "{flips}");
}

#[test]
fn every_length_that_it_can_be_cut_to_is_found() {
    for (bytes, _) in kinds() {
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            let what = format!("{length} bytes of {}", bytes.len());
            assert_eq!(refused(cut), [true, true], "{what}");
            let far = OpenOptions::new().headers_on_read();
            let far = far.open_source(cut.to_vec()).expect_err(&what);
            assert!(far.refusal().is_some(), "{what}: {far}");
        }
    }
}
