//! The body of the fuzz target, which the fuzzer and `replay_corpus.rs` both run.

use std::fs;
use std::path::Path;

use futures_util::StreamExt;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use stillpoint_core::ErrorKind;
use stillpoint_iaas::{Filter, Provider};
use stillpoint_local::LocalProvider;

const AREAS: [&str; 5] = ["commits", "images", "instances", "snapshots", "volumes"];

/// A folder with one record of any bytes opens and is listed to its end, or names the file that is
/// wrong; and nothing beside the folder is touched.
///
/// The first byte says where the record is, and whether it gets the seal of one of ours: without
/// that few would get further than the checksum.
pub(crate) fn local_record(data: &[u8]) {
    let Some((choice, record)) = data.split_first() else {
        return;
    };
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("folder");
    let area = AREAS[usize::from(*choice) % AREAS.len()];
    let sealed = usize::from(*choice) / AREAS.len() % 2 == 1;
    for area in AREAS.into_iter().chain(["staged"]) {
        fs::create_dir_all(folder.join(".stillpoint").join(area)).unwrap();
    }
    fs::write(base.path().join("beside"), "precious").unwrap();
    fs::write(folder.join("disk.raw"), "a volume").unwrap();
    fs::write(folder.join(".stillpoint/staged/key.0.raw"), "staged").unwrap();
    let bytes = if sealed {
        seal(record)
    } else {
        record.to_vec()
    };
    let name = format!(".stillpoint/{area}/key.json");
    fs::write(folder.join(&name), bytes).unwrap();

    open_and_list(&folder);
    assert_eq!(fs::read(base.path().join("beside")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2);
}

fn open_and_list(folder: &Path) {
    let here = LocalProvider::open("here", folder).expect("one bad record closes no folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let filter = Filter::default();
        let mut list = here.list(&filter);
        while let Some(listed) = list.next().await {
            if let Err(error) = listed {
                let kinds = [
                    ErrorKind::Corrupt,
                    ErrorKind::Unsupported,
                    ErrorKind::Invalid,
                ];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                assert!(error.to_string().contains("key"), "{error}");
            }
        }
    });
}

/// As `record.rs` seals: version and text, by SHA-256. What is no JSON gets none.
fn seal(record: &[u8]) -> Vec<u8> {
    let Ok(record) = serde_json::from_slice::<&RawValue>(record) else {
        return record.to_vec();
    };
    let hash = Sha256::new()
        .chain_update(1_u32.to_le_bytes())
        .chain_update(record.get())
        .finalize();
    let digest = stillpoint_core::Digest::new(hash.into());
    format!(r#"{{"version":1,"sha256":"{digest}","record":{record}}}"#).into_bytes()
}
