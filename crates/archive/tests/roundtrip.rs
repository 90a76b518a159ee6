//! What goes in comes out, by every way out.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

use proptest::prelude::*;
use stillpoint_archive::{
    Archive, Assurance, Class, Digest, EntryOptions, Error, ExtractOptions, Level, Metadata,
    Method, OpenOptions, Packing, Passphrase, Refusal, SecretKey, TreeOptions, VerifyLevel, Watch,
    WriteOptions, Writer, create, extract, verify, verify_stream,
};

const MIB: usize = 1 << 20;

fn stream(options: &WriteOptions, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, options).unwrap();
    fill(&mut writer);
    writer.finish().unwrap();
    bytes
}

fn noise(size: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Text, noise, zeros and a short end: three and a bit chunks of all kinds.
fn mixed() -> Vec<u8> {
    let mut bytes = b"INSERT INTO logs VALUES (17, 'started');\n".repeat(MIB / 40);
    bytes.extend(noise(MIB, 7));
    bytes.resize(bytes.len() + 3 * MIB, 0);
    bytes.extend(b"the end");
    bytes
}

fn content(archive: &Archive, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive
        .reader(name)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for child in std::fs::read_dir(next).unwrap() {
            let path = child.unwrap().path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else {
                found.insert(name, Some(std::fs::read(path).unwrap()));
            }
        }
    }
    found
}

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

#[test]
fn equal_input_gives_equal_bytes_for_any_number_of_workers() {
    let mixed = mixed();
    let make = |workers| {
        stream(
            &WriteOptions::new().deterministic().workers(workers),
            |writer| {
                for n in 0..2000 {
                    let about = EntryOptions::new().modified(std::time::SystemTime::now());
                    writer
                        .bytes(&format!("d/{n}"), format!("file {n}"), &about)
                        .unwrap();
                }
                writer
                    .bytes("large", mixed.clone(), &EntryOptions::new())
                    .unwrap();
            },
        )
    };
    let one = make(1);
    assert!(one == make(2) && one == make(7));
}

#[test]
fn sealed_entries_open_with_the_key_and_only_with_it() {
    let (mine, other) = (SecretKey::generate(), SecretKey::generate());
    let secret = mixed();
    let options = WriteOptions::new()
        .seal_for(mine.public())
        .seal_for(Passphrase::new("correct horse").danger_work_factor(4));
    let bytes = stream(&options, |writer| {
        let about = EntryOptions::new().class(Class::Secret);
        writer
            .bytes("ssl/key.pem", "-----BEGIN PRIVATE KEY-----", &about)
            .unwrap();
        writer.bytes("ssl/empty", "", &about).unwrap();
        writer.bytes("disk.img", secret.clone(), &about).unwrap();
        writer
            .bytes("public.txt", "hello", &EntryOptions::new())
            .unwrap();
    });
    assert!(!bytes.windows(11).any(|window| window == b"PRIVATE KEY"));

    let locked = OpenOptions::new().open_source(bytes.clone()).unwrap();
    let report = verify(&locked, VerifyLevel::Full, &Watch::none()).unwrap();
    assert_eq!(
        (report.assurance, report.sealed, report.opened),
        (Assurance::Verified, 3, false)
    );
    assert_eq!(report.content_digest, None);
    assert!(matches!(
        locked.read("ssl/key.pem"),
        Err(Error::KeyMissing { sealed: 3, .. })
    ));
    assert_eq!(locked.read("public.txt").unwrap(), b"hello");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("t");
    let refused = extract(&locked, &target, &ExtractOptions::new(), &Watch::none());
    assert!(matches!(refused, Err(Error::KeyMissing { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let wrong = OpenOptions::new()
        .identity(other)
        .open_source(bytes.clone());
    assert!(matches!(wrong, Err(Error::KeyMismatch { .. })));
    let wrong = Passphrase::new("incorrect horse");
    let wrong = OpenOptions::new()
        .identity(wrong)
        .open_source(bytes.clone());
    assert!(matches!(wrong, Err(Error::KeyMismatch { .. })));

    let mut digests = Vec::new();
    let by_key = OpenOptions::new().identity(mine);
    let by_phrase = OpenOptions::new().identity(Passphrase::new("correct horse"));
    for (n, options) in [by_key, by_phrase].into_iter().enumerate() {
        let open = options.open_source(bytes.clone()).unwrap();
        assert_eq!(
            open.read("ssl/key.pem").unwrap(),
            b"-----BEGIN PRIVATE KEY-----"
        );
        assert_eq!(open.read("ssl/empty").unwrap(), b"");
        assert!(content(&open, "disk.img") == secret);
        let report = verify(&open, VerifyLevel::Deep, &Watch::none()).unwrap();
        assert!(report.opened);
        digests.push(report.content_digest.unwrap());
        let target = folder.path().join(n.to_string());
        extract(&open, &target, &ExtractOptions::new(), &Watch::none()).unwrap();
        assert!(std::fs::read(target.join("disk.img")).unwrap() == secret);
        assert!(!target.join("META-INF").exists());
    }
    let clear = stream(&WriteOptions::new().danger_secrets_in_clear(), |writer| {
        let about = EntryOptions::new().class(Class::Secret);
        writer.bytes("disk.img", secret.clone(), &about).unwrap();
        writer
            .bytes("public.txt", "hello", &EntryOptions::new())
            .unwrap();
        writer
            .bytes("ssl/key.pem", "-----BEGIN PRIVATE KEY-----", &about)
            .unwrap();
        writer.bytes("ssl/empty", "", &about).unwrap();
    });
    let clear = OpenOptions::new().open_source(clear).unwrap();
    let clear = verify(&clear, VerifyLevel::Full, &Watch::none())
        .unwrap()
        .content_digest;
    assert_eq!(digests, [clear.unwrap(); 2]);
}

#[test]
fn secrets_without_anyone_to_seal_for_are_an_error() {
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
    let about = EntryOptions::new().class(Class::Secret);
    let error = writer.bytes("key", "secret", &about).unwrap_err();
    assert!(
        error.to_string().contains("nobody to seal it for"),
        "{error}"
    );
}

#[test]
fn names_the_reader_would_refuse_are_not_written() {
    let about = EntryOptions::new();
    for (name, twin) in [
        ("../x", None),
        ("a/b", Some("A/c")),
        ("a", Some("a/b")),
        ("con", None),
        ("m", Some("M")),
    ] {
        let mut bytes = Vec::new();
        let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
        let result = writer.bytes(name, "", &about);
        let result = match twin {
            Some(twin) => result.and_then(|()| writer.bytes(twin, "", &about)),
            None => result,
        };
        assert!(result.unwrap_err().refusal().is_some(), "{name}");
    }
    for own in ["metadata.json", "META-INF/x", "a.sealed"] {
        let mut bytes = Vec::new();
        let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
        assert!(writer.bytes(own, "", &about).is_err(), "{own}");
    }
}

#[test]
fn cancelling_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = stillpoint_archive::Cancel::default();
    let asked = cancel.clone();
    let watch = Watch::none().cancel(cancel).progress(move |progress| {
        if progress.bytes > 3 * MIB as u64 {
            asked.cancel();
        }
    });
    let options = WriteOptions::new().watch(watch, None);
    let result = create(folder.path().join("a.zip"), &options, |writer| {
        writer.reader("endless", std::io::repeat(7), &EntryOptions::new())
    });
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_broken_promise_of_size_spoils_the_archive() {
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
    assert!(
        writer
            .reader("a", &b"four"[..], &EntryOptions::new().size(5))
            .is_err()
    );
    assert!(writer.finish().is_err());
}

#[test]
fn a_tree_comes_back_as_it_was() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir_all(source.join("a/empty")).unwrap();
    std::fs::create_dir_all(source.join("ä/deep/er")).unwrap();
    std::fs::write(source.join("a/one"), "1").unwrap();
    std::fs::write(source.join("ä/deep/er/two"), "2".repeat(5000)).unwrap();
    std::fs::write(source.join("none"), "").unwrap();
    std::fs::write(source.join("large"), mixed()).unwrap();
    std::fs::set_permissions(source.join("a"), PermissionsExt::from_mode(0o500)).unwrap();
    let path = folder.path().join("a.zip");
    create(&path, &WriteOptions::new(), |w| {
        w.tree("", &source, TreeOptions::new())
    })
    .unwrap();
    let target = folder.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let archive = Archive::open(&path).unwrap();
    extract(
        &archive,
        &target,
        &ExtractOptions::new().durable(),
        &Watch::none(),
    )
    .unwrap();
    assert_eq!(tree(&source), tree(&target));
    assert_eq!(
        target.join("a").metadata().unwrap().permissions().mode() & 0o777,
        0o500
    );
    let again = extract(&archive, &target, &ExtractOptions::new(), &Watch::none());
    assert!(matches!(again, Err(Error::Exists(_))));
    let only = folder.path().join("only");
    let options = ExtractOptions::new().only(|path| path.ends_with("two"));
    assert_eq!(
        extract(&archive, &only, &options, &Watch::none())
            .unwrap()
            .files,
        1
    );
    assert!(only.join("ä/deep/er/two").exists());

    std::os::unix::fs::symlink("/etc/passwd", source.join("link")).unwrap();
    let result = create(folder.path().join("b.zip"), &WriteOptions::new(), |w| {
        w.tree("", &source, TreeOptions::new())
    });
    assert!(matches!(
        result.unwrap_err().refusal(),
        Some(Refusal::FileType(_))
    ));
}

/// Content by its description, so that a failure can be read.
#[derive(Clone, Debug)]
enum Make {
    Bytes(Vec<u8>),
    Noise(usize),
    Text(String, usize),
    Zeros(usize),
}

impl Make {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Make::Bytes(bytes) => bytes.clone(),
            Make::Noise(size) => noise(*size, 3),
            Make::Text(text, times) => text.repeat(*times).into_bytes(),
            Make::Zeros(size) => vec![0; *size],
        }
    }
}

fn entries() -> impl Strategy<Value = BTreeMap<String, Make>> {
    let name = "[a-c]{1,2}(/[d-f]{1,2}){0,2}/[g-jö]{1,3}";
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Make::Bytes),
        ("[a-z ]{0,40}", 0usize..200).prop_map(|(text, times)| Make::Text(text, times)),
        (0usize..3 * MIB).prop_map(Make::Zeros),
        (0usize..3, 0usize..3).prop_map(|(n, more)| Make::Noise(n * MIB + more)),
    ];
    prop::collection::btree_map(name, content, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn anything_comes_back(
        entries in entries(),
        level in 1u8..=9,
        seekable: bool,
        sealed: bool,
    ) {
        let key = SecretKey::generate();
        let class = if sealed { Class::Secret } else { Class::Public };
        let options = WriteOptions::new()
            .packing(Packing::Deflate(Level::new(level)))
            .seal_for(key.public())
            .metadata(Metadata::Verbatim(b"{\"snapshot_version\": \"7.1.0\"}".to_vec()));
        let about = EntryOptions::new().class(class);
        let fill = |writer: &mut Writer<'_>| {
            entries.iter().try_for_each(|(name, bytes)| writer.bytes(name, bytes.bytes(), &about))
        };
        let bytes = if seekable {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.zip");
            create(&path, &options, fill).unwrap();
            std::fs::read(path).unwrap()
        } else {
            stream(&options, |writer| fill(writer).unwrap())
        };
        let streamed = verify_stream(&bytes[..], &OpenOptions::new(), &Watch::none()).unwrap();
        let remote = OpenOptions::new().headers_on_read().identity(key.clone());
        let remote = remote.open_source(bytes.clone()).unwrap();
        let archive = OpenOptions::new().identity(key).open_source(bytes).unwrap();
        let report = verify(&archive, VerifyLevel::Deep, &Watch::none()).unwrap();
        prop_assert_eq!(report.files, streamed.files);
        prop_assert_eq!(report.files as usize, entries.len() + 3);
        for (name, bytes) in &entries {
            prop_assert!(content(&archive, name) == bytes.bytes());
            prop_assert!(content(&remote, name) == bytes.bytes());
        }
    }
}
