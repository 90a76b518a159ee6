//! No archive of ours can be damaged without it being found.

use stillpoint_archive::{
    Class, EntryOptions, OpenOptions, SecretKey, VerifyLevel, Watch, WriteOptions, Writer, verify,
    verify_stream,
};

const MIB: usize = 1 << 20;

fn archive(sealed: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut options = WriteOptions::new().workers(1);
    let mut about = EntryOptions::new();
    if sealed {
        options = options.seal_for(SecretKey::generate().public());
        about = about.class(Class::Secret);
    }
    let mut writer = Writer::stream(&mut bytes, &options).unwrap();
    for n in 0..40 {
        let text = format!("name: node-{n}\n").repeat(n * 7);
        writer
            .bytes(&format!("blueprints/{n}.yaml"), text, &about)
            .unwrap();
    }
    let mut large = vec![0; MIB];
    large.extend(b"COPY nodes FROM stdin;\n".repeat(MIB / 20));
    writer.bytes("pg_data", large, &about).unwrap();
    writer.finish().unwrap();
    bytes
}

fn is_found(bytes: &[u8]) -> bool {
    let opened = OpenOptions::new().open_source(bytes.to_vec());
    opened
        .and_then(|archive| verify(&archive, VerifyLevel::Full, &Watch::none()))
        .is_err()
}

fn is_found_in_passing(bytes: &[u8]) -> bool {
    verify_stream(bytes, &OpenOptions::new(), &Watch::none()).is_err()
}

#[test]
fn every_truncation_is_found() {
    for sealed in [false, true] {
        let whole = archive(sealed);
        assert!(!is_found(&whole) && !is_found_in_passing(&whole));
        let steps = (0..whole.len()).step_by(1024);
        let last = whole.len().saturating_sub(200)..whole.len();
        for length in steps.chain(last) {
            assert!(
                is_found(&whole[..length]),
                "{length} bytes of {}",
                whole.len()
            );
            assert!(
                is_found_in_passing(&whole[..length]),
                "{length} bytes of {}",
                whole.len()
            );
        }
    }
}

/// Of so many that local headers and manifest are looked at side by side; by opening alone.
#[test]
fn a_changed_local_header_among_thousands_is_found() {
    let mut bytes = Vec::new();
    let options = WriteOptions::new().workers(1);
    let mut writer = Writer::stream(&mut bytes, &options).unwrap();
    for n in 0..5000 {
        let about = EntryOptions::new();
        writer.bytes(&format!("{n:04}.txt"), "x", &about).unwrap();
    }
    writer.finish().unwrap();
    let open = |bytes: &[u8]| OpenOptions::new().open_source(bytes.to_vec());
    open(&bytes).unwrap();
    let name = bytes.windows(8).position(|it| it == b"2500.txt").unwrap();
    // The time, 20 bytes before the name of a local header.
    bytes[name - 20] ^= 1;
    let refused = open(&bytes).unwrap_err().to_string();
    assert!(
        refused.contains("2500.txt") && refused.contains("the time"),
        "{refused}"
    );
}

#[test]
fn flipped_bytes_are_found() {
    let flips = std::env::var("STILLPOINT_FLIPS").map_or(200, |n| n.parse().unwrap());
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for sealed in [false, true] {
        let mut bytes = archive(sealed);
        for _ in 0..flips / 2 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % bytes.len();
            let bits = ((seed >> 8) as u8).max(1);
            bytes[at] ^= bits;
            assert!(is_found(&bytes), "byte {at} ^ {bits:#x} of {}", bytes.len());
            assert!(
                is_found_in_passing(&bytes),
                "byte {at} ^ {bits:#x} of {}",
                bytes.len()
            );
            bytes[at] ^= bits;
        }
        assert!(!is_found(&bytes));
    }
}

#[test]
fn appended_and_prefixed_bytes_are_found() {
    let whole = archive(false);
    let appended = [&whole[..], b"x"].concat();
    let prefixed = [b"x", &whole[..]].concat();
    let twice = [&whole[..], &whole[..]].concat();
    for bytes in [appended, prefixed, twice] {
        assert!(is_found(&bytes) && is_found_in_passing(&bytes));
    }
}
