//! The `zip` crate as the oracle: what it writes we read equal, what we write it reads equal.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use proptest::prelude::*;
use stillpoint_archive::{
    Archive, EntryOptions, Kind, Level, OpenOptions, Packing, Strictness, VerifyLevel, Watch,
    WriteOptions, Writer, create, verify, verify_stream,
};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Mode and content; a directory's is `None`.
type Entries = BTreeMap<String, (u32, Option<Vec<u8>>)>;

fn entries() -> impl Strategy<Value = Entries> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        ("[a-z \n]{1,40}", 0usize..60_000).prop_map(|(text, n)| text.repeat(n).into_bytes()),
        (0usize..3 << 20).prop_map(|n| vec![0; n]),
    ];
    let kind = prop_oneof![5 => content.prop_map(Some), 1 => Just(None)];
    let mode = prop::sample::select(vec![0o600, 0o644, 0o755, 0o400]);
    // No two differ in case alone, and no file is a folder of another.
    prop::collection::btree_map("[a-c]{1,2}/[d-f]{1,2}/[g-jö]{1,4}", (mode, kind), 0..8)
}

fn theirs(entries: &Entries, stored: bool, large: bool) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let method = match stored {
        true => CompressionMethod::Stored,
        false => CompressionMethod::Deflated,
    };
    for (name, (mode, content)) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .unix_permissions(*mode)
            .large_file(large);
        match content {
            None => writer.add_directory(name.as_str(), options)?,
            Some(bytes) => {
                writer.start_file(name.as_str(), options)?;
                writer.write_all(bytes)?;
            }
        }
    }
    Ok(writer.finish()?.into_inner())
}

fn theirs_streamed(entries: &Entries) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    for (name, (mode, content)) in entries {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        match content {
            None => writer.add_directory(name.as_str(), options)?,
            Some(bytes) => {
                writer.start_file(name.as_str(), options)?;
                writer.write_all(bytes)?;
            }
        }
    }
    Ok(writer.finish()?.into_inner())
}

fn equal(archive: &Archive, entries: &Entries) {
    let names: Vec<&str> = archive.entries().map(|entry| entry.path()).collect();
    assert_eq!(names.len(), entries.len(), "{names:?}");
    for entry in archive.entries() {
        let name = entry.path().trim_end_matches('/');
        let (mode, content) = &entries[name];
        assert_eq!(entry.kind() == Kind::Directory, content.is_none(), "{name}");
        assert_eq!(entry.mode(), *mode, "{name}");
        if let Some(content) = content {
            let mut bytes = Vec::new();
            let mut reader = archive.reader(entry.name()).unwrap();
            reader.read_to_end(&mut bytes).unwrap();
            assert!(bytes == *content, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_it_writes_we_read(entries in entries(), stored: bool, large: bool, streamed: bool) {
        let written = match streamed {
            true => theirs_streamed(&entries),
            false => theirs(&entries, stored, large),
        };
        let bytes = written.unwrap();
        // It marks entries as ZIP64 that need it not; zeros pack far better than 200:1.
        let options = OpenOptions::new()
            .strictness(Strictness::Lenient)
            .limits(stillpoint_archive::Limits { ratio: 1100, ..Default::default() });
        let archive = options.open_source(bytes.clone()).unwrap();
        equal(&archive, &entries);
        let report = verify(&archive, VerifyLevel::Full, &Watch::none()).unwrap();
        let passing = verify_stream(&bytes[..], &options, &Watch::none()).unwrap();
        prop_assert_eq!(report.content_digest, passing.content_digest);
    }

    #[test]
    fn what_we_write_it_reads(entries in entries(), level in 1u8..=9, streamed: bool) {
        let options = WriteOptions::new().packing(Packing::Deflate(Level::new(level)));
        let fill = |writer: &mut Writer<'_>| {
            entries.iter().try_for_each(|(name, (mode, content))| {
                let about = EntryOptions::new().mode(*mode);
                match content {
                    Some(bytes) => writer.bytes(name, bytes.clone(), &about),
                    None => writer.directory(name, &about),
                }
            })
        };
        let bytes = if streamed {
            let mut bytes = Vec::new();
            let mut writer = Writer::stream(&mut bytes, &options).unwrap();
            fill(&mut writer).unwrap();
            writer.finish().unwrap();
            bytes
        } else {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.zip");
            create(&path, &options, fill).unwrap();
            std::fs::read(path).unwrap()
        };
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        for (name, (mode, content)) in &entries {
            let name = if content.is_some() { name.clone() } else { format!("{name}/") };
            let mut entry = archive.by_name(&name).unwrap();
            prop_assert_eq!(entry.is_dir(), content.is_none());
            prop_assert_eq!(entry.unix_mode().unwrap() & 0o777, *mode);
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            prop_assert!(bytes == content.clone().unwrap_or_default());
        }
    }
}
