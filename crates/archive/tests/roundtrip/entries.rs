use std::io::Write as _;

use stillpoint_archive::{
    Archive, Assurance, Class, Digest, EntryOptions, Error, ExtractOptions, Method, OpenOptions,
    SecretKey, VerifyLevel, Watch, WriteOptions, create, extract, verify, verify_stream,
};

use crate::tree::{mixed, noise};
use crate::{MIB, content, stream};

#[test]
fn a_large_entry_is_cut_and_comes_back() {
    let mixed = mixed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let created = create(&path, &WriteOptions::new(), |writer| {
        writer.bytes("small", "x", &EntryOptions::new())?;
        writer.bytes(
            "disk.img",
            mixed.clone(),
            &EntryOptions::new().component("volumes"),
        )?;
        writer.bytes(
            "packed.gz",
            [b"\x1f\x8b\x08".to_vec(), noise(3 * MIB, 9)].concat(),
            &EntryOptions::new(),
        )?;
        writer.reader(
            "again/disk.img",
            &mixed[..],
            &EntryOptions::new().mode(0o600),
        )
    })
    .unwrap();
    assert_eq!(created.report.assurance, Assurance::Verified);
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.root(), Some(created.archive.root));
    for name in ["disk.img", "again/disk.img"] {
        let view = archive.entry(name).unwrap();
        assert_eq!(view.size(), mixed.len() as u64);
        assert_eq!(view.method(), Method::Deflate);
        assert_eq!(view.sha256(), Some(Digest::of(&mixed)));
        assert!(view.stored() < 2 * MIB as u64);
        assert!(content(&archive, name) == mixed);
    }
    assert_eq!(archive.entry("packed.gz").unwrap().method(), Method::Store);
    assert_eq!(archive.entry("again/disk.img").unwrap().mode(), 0o600);
    assert_eq!(
        archive.entry("disk.img").unwrap().component(),
        Some("volumes")
    );
    let report = verify(&archive, VerifyLevel::Deep, &Watch::none()).unwrap();
    assert_eq!(report.assurance, Assurance::VerifiedDeep);
    let streamed = verify_stream(
        std::fs::File::open(&path).unwrap(),
        &OpenOptions::new(),
        &Watch::none(),
    );
    assert_eq!(streamed.unwrap().content_digest, report.content_digest);
    assert!(matches!(
        create(&path, &WriteOptions::new(), |_| Ok(())),
        Err(Error::Exists(there)) if there == path
    ));
}

#[test]
fn any_range_of_an_entry_can_be_read() {
    let mixed = mixed();
    for sealed in [false, true] {
        let key = SecretKey::generate();
        let class = if sealed {
            Class::Secret
        } else {
            Class::Internal
        };
        let bytes = stream(&WriteOptions::new().seal_for(key.public()), |writer| {
            let about = EntryOptions::new().class(class);
            writer.bytes("large", mixed.clone(), &about).unwrap();
            writer.bytes("small", &mixed[..1000], &about).unwrap();
        });
        let archive = OpenOptions::new().identity(key).open_source(bytes).unwrap();
        for range in [
            0..10,
            MIB - 5..MIB + 5,
            MIB..2 * MIB,
            5 * MIB..usize::MAX,
            0..mixed.len(),
            7..7,
        ] {
            let wide = range.start as u64..range.end as u64;
            let found = archive.read_range("large", wide.clone()).unwrap();
            assert!(
                found == mixed[range.start..range.end.min(mixed.len())],
                "{range:?}"
            );
            let found = archive.read_range("small", wide).unwrap();
            assert!(
                found == mixed[range.start.min(1000)..range.end.min(1000)],
                "{range:?}"
            );
        }
    }
}

#[test]
fn holes_stay_holes() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(b"boot", 0).unwrap();
    file.write_all_at(b"data", 40 << 20).unwrap();
    let path = folder.path().join("a.zip");
    create(&path, &WriteOptions::new(), |writer| {
        writer.file_at("image", &image, &EntryOptions::new())?;
        let mut entry = writer.entry("pushed", &EntryOptions::new())?;
        entry.write_all(b"boot").unwrap();
        entry.hole((40 << 20) - 4)?;
        entry.write_all(b"data").unwrap();
        entry.hole((24 << 20) - 4)?;
        entry.finish()
    })
    .unwrap();
    assert!(path.metadata().unwrap().len() < 300 << 10);
    let target = folder.path().join("restored");
    let archive = Archive::open(&path).unwrap();
    let extracted = extract(&archive, &target, &ExtractOptions::new(), &Watch::none()).unwrap();
    assert_eq!((extracted.files, extracted.bytes), (2, 128 << 20));
    let original = std::fs::read(&image).unwrap();
    for name in ["image", "pushed"] {
        let restored = target.join(name);
        assert!(std::fs::read(&restored).unwrap() == original);
        assert!(restored.metadata().unwrap().blocks() * 512 <= 4 << 20);
    }
}

/// As an encrypted disk does, or one with an archive at its start.
#[test]
fn a_disk_that_begins_with_noise_keeps_its_holes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let start = noise(2 * MIB, 5);
    let size = 128 * MIB as u64;
    create(&path, &WriteOptions::new(), |writer| {
        let mut disk = writer.entry("disk.img", &EntryOptions::new().size(size))?;
        disk.write_all(&start).unwrap();
        disk.hole(size - start.len() as u64)?;
        disk.finish()
    })
    .unwrap();
    assert!(path.metadata().unwrap().len() < 3 * MIB as u64);
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.entry("disk.img").unwrap().size(), size);
    let read = archive.read_range("disk.img", 0..start.len() as u64 + 9);
    assert!(read.unwrap() == [start, vec![0; 9]].concat());
}
