//! What a writer promises, and what it does not write.

use stillpoint_archive::{Assurance, EntryOptions, Error, Watch, WriteOptions, Writer, create};

use crate::tree::mixed;
use crate::{MIB, stream};

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

/// A disk that gives back something else, in content and in a header that was written over.
#[test]
fn what_was_damaged_before_it_is_read_back_is_no_archive() {
    use std::os::unix::fs::FileExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let mut noise = vec![0; 6 * MIB];
    getrandom::fill(&mut noise).unwrap();
    for at in [None, Some(3 * MIB as u64), Some(0)] {
        let created = create(&path, &WriteOptions::new(), |writer| {
            writer.bytes("a", noise.clone(), &EntryOptions::new())?;
            writer.bytes("b", noise.clone(), &EntryOptions::new())?;
            let part = std::fs::read_dir(folder.path()).unwrap().next().unwrap();
            let part = std::fs::File::options()
                .read(true)
                .write(true)
                .open(part.unwrap().path());
            let (part, mut byte) = (part.unwrap(), [0]);
            if let Some(at) = at {
                part.read_exact_at(&mut byte, at).unwrap();
                part.write_all_at(&[!byte[0]], at).unwrap();
            }
            Ok(())
        });
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        match at {
            None => {
                assert_eq!(created.unwrap().report.assurance, Assurance::Verified);
                std::fs::remove_file(&path).unwrap();
            }
            Some(at) => assert!(created.is_err() && left == 0, "{at}"),
        }
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
