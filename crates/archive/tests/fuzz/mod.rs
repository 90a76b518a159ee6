//! Bodies of the fuzz targets, which the fuzzer and `replay.rs` both run.

// Each target uses one of them; for the tests they are private.
#![allow(dead_code, unreachable_pub)]

use stillpoint_archive::cloudify::{Era, Files, Snapshot};
use stillpoint_archive::{
    Archive, ExtractOptions, Limits, OpenOptions, Strictness, VerifyLevel, Watch, extract, verify,
    verify_stream,
};

fn options(strictness: Strictness) -> OpenOptions {
    // Small enough that no input takes long.
    let limits = Limits {
        entries: 1000,
        entry: 16 << 20,
        total: 32 << 20,
        ..Limits::default()
    };
    OpenOptions::new().strictness(strictness).limits(limits)
}

fn open_as(data: &[u8], strictness: Strictness) -> Option<Archive> {
    options(strictness).open_source(data.to_vec()).ok()
}

/// Opens, lists and verifies.
pub fn open(data: &[u8]) {
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let Some(archive) = open_as(data, strictness) else {
            continue;
        };
        for entry in archive.entries() {
            assert!(!entry.name().starts_with('/') && !entry.name().contains(".."));
        }
        let _ = verify(&archive, VerifyLevel::Deep, &Watch::none());
        let _ = archive.read_range("metadata.json", 3..70);
    }
}

/// Streaming and seeking must come to the same verdict.
pub fn stream(data: &[u8]) {
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let seeking = options(strictness)
            .open_source(data.to_vec())
            .and_then(|archive| verify(&archive, VerifyLevel::Full, &Watch::none()));
        let streaming = verify_stream(data, &options(strictness), &Watch::none());
        match (&seeking, &streaming) {
            (Ok(a), Ok(b)) => {
                assert_eq!((a.files, a.bytes, a.root), (b.files, b.bytes, b.root));
                assert_eq!(a.content_digest, b.content_digest);
            }
            (Err(_), Err(_)) => {}
            _ => panic!("seeking: {seeking:?}\nstreaming: {streaming:?}"),
        }
    }
}

/// Extracts; nothing may appear but below the folder.
pub fn extract_all(data: &[u8]) {
    let Some(archive) = open_as(data, Strictness::Lenient) else {
        return;
    };
    let outer = tempfile::tempdir().unwrap();
    let target = outer.path().join("target");
    let result = extract(&archive, &target, &ExtractOptions::new(), &Watch::none());
    let there: Vec<_> = std::fs::read_dir(outer.path()).unwrap().collect();
    assert_eq!(there.len(), usize::from(result.is_ok()));
    assert_eq!(target.exists(), result.is_ok());
}

/// The input as the manifest of an otherwise good archive.
pub fn manifest(data: &[u8]) {
    let _ = options(Strictness::Strict).open_source(with_manifest(data));
}

/// The input as a manager's snapshot: paths and contents by turns, parted by 0xff.
pub fn migrate(data: &[u8]) {
    let mut files = Files::default();
    let mut parts = data.split(|byte| *byte == 0xff);
    while let (Some(path), Some(content)) = (parts.next(), parts.next()) {
        files.insert(String::from_utf8_lossy(path), content);
    }
    let Ok(snapshot) = Snapshot::from_files(files) else {
        return;
    };
    let _ = (
        snapshot.agents(),
        snapshot.entities(),
        snapshot.admin_account(),
    );
    let _ = (snapshot.networks(), snapshot.tenants(), snapshot.plugins());
    let _ = (
        snapshot.blueprints(),
        snapshot.uploaded_blueprints(),
        snapshot.credentials(),
    );
    for era in [Era::A, Era::B, Era::C, Era::D, Era::E] {
        if let Ok(migrated) = snapshot.clone().migrated(era) {
            assert_eq!(migrated.era(), era);
        }
    }
}

/// A ZIP of `metadata.json` and a manifest with this text, all else in order.
fn with_manifest(text: &[u8]) -> Vec<u8> {
    let mut zip = Vec::new();
    let mut central = Vec::new();
    let entries: [(&str, &[u8]); 3] = [
        ("metadata.json", b"{}"),
        ("META-INF/", b""),
        ("META-INF/MANIFEST.jsonl", text),
    ];
    for (name, content) in entries {
        let offset = zip.len() as u32;
        let size = (content.len() as u32).to_le_bytes();
        let common: Vec<u8> = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..],
            &crc32(content).to_le_bytes(),
            &size,
            &size,
            &(name.len() as u16).to_le_bytes(),
        ]
        .concat();
        zip.extend(
            [
                b"PK\x03\x04",
                &common[..],
                &[0, 0],
                name.as_bytes(),
                content,
            ]
            .concat(),
        );
        let extra = match name.ends_with("jsonl") {
            true => [&[0x53, 0x50, 4, 0][..], &crc32(&zip).to_le_bytes()].concat(),
            false => Vec::new(),
        };
        let attributes: u32 = if name.ends_with('/') {
            0o040_755 << 16 | 0x10
        } else {
            0o100_644 << 16
        };
        central.extend([b"PK\x01\x02", &[45, 3][..], &common[..]].concat());
        central.extend([extra.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
        central.extend(attributes.to_le_bytes());
        central.extend([&offset.to_le_bytes()[..], name.as_bytes(), &extra].concat());
    }
    let (offset, size) = (zip.len() as u32, central.len() as u32);
    zip.extend(central);
    zip.extend(b"PK\x05\x06\0\0\0\0\x03\0\x03\0");
    zip.extend([size.to_le_bytes(), offset.to_le_bytes()].concat());
    zip.extend([0, 0]);
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    }) ^ !0
}
