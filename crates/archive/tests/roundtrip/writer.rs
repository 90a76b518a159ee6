//! What a writer promises, and what it does not write.

use stillpoint_archive::{EntryOptions, Error, Watch, WriteOptions, Writer, create};

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
