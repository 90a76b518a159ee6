//! A folder with volumes, and the engine's part of driving an operation.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use stillpoint_core::{CopyKind, ErrorKind, Labels, Memory, ResourceRef};
use stillpoint_iaas::{
    DiskOf, NewDisk, Observation, Operation, OperationKey, Output, Provider, TakeSnapshot,
    TakenSnapshot,
};
use stillpoint_local::LocalProvider;
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct Bed {
    pub(crate) dir: TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn new_in(place: &Path) -> Self {
        Self {
            dir: TempDir::new_in(place).unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What an earlier provider still had under way holds the folder until it is over.
    pub(crate) fn open(&self) -> LocalProvider {
        for _ in 0..5_000 {
            match LocalProvider::open("here", self.path()) {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("the folder stays held");
    }

    /// A sparse file with data at its start, its middle and its end.
    pub(crate) fn volume(&self, name: &str, size: u64, seed: u8) -> ResourceRef {
        fill(&self.file(name), size, seed);
        volume(name)
    }

    /// A volume with enough data to be copied past the page cache, with runs of data that are too
    /// short for that, and one that ends in the middle of a block.
    pub(crate) fn large_volume(&self, name: &str) -> ResourceRef {
        let runs = [
            (0, 4096),
            (MIB, 20 * MIB + 8192),
            (30 * MIB, 255 << 10),
            (31 * MIB, 256 << 10),
            (40 * MIB, 13 * MIB + 5),
        ];
        let file = fs::File::create(self.file(name)).unwrap();
        for (at, length) in runs {
            let bytes: Vec<u8> = (0..length).map(|n| (n / 4096 + n) as u8 | 1).collect();
            file.write_all_at(&bytes, at).unwrap();
        }
        volume(name)
    }

    /// Returns once the copy of this key's first part has begun, its look at the source behind it.
    pub(crate) async fn copying(&self, key_text: &str) {
        let staged = self
            .file(".stillpoint/staged")
            .join(format!("{key_text}.0.raw"));
        while !staged.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(crate) fn inventory(&self) -> BTreeMap<String, String> {
        inventory(self.path())
    }
}

pub(crate) fn fill(path: &Path, size: u64, seed: u8) {
    let file = fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    let piece: Vec<u8> = (0..4096.min(size))
        .map(|n| (n as u8) ^ (seed << 1) | 1)
        .collect();
    for at in [0, size / 2, size - piece.len() as u64] {
        file.write_all_at(&piece, at).unwrap();
    }
}

pub(crate) fn volume(name: &str) -> ResourceRef {
    format!("here/volume/{name}").parse().unwrap()
}

pub(crate) fn instance(name: &str) -> ResourceRef {
    format!("here/instance/{name}").parse().unwrap()
}

pub(crate) fn key(text: &str) -> OperationKey {
    text.parse().unwrap()
}

/// Every file in the folder with the bytes that matter: content of data files, else its text.
pub(crate) fn inventory(path: &Path) -> BTreeMap<String, String> {
    fn walk(at: &Path, top: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, top, into);
            } else {
                let name = path.strip_prefix(top).unwrap().display().to_string();
                let bytes = fs::read(&path).unwrap();
                let mut sum = DefaultHasher::new();
                sum.write(&bytes);
                let sum = format!("{} bytes {:016x}", bytes.len(), sum.finish());
                into.insert(name, sum);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(path, path, &mut found);
    found
}

/// Bytes that a file occupies.
pub(crate) fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

pub(crate) fn take(source: &ResourceRef, volumes: &[&ResourceRef]) -> TakeSnapshot {
    TakeSnapshot {
        source: source.clone(),
        parts: volumes
            .iter()
            .map(|volume| DiskOf {
                disk: volume.id().to_owned(),
                volume: (*volume).clone(),
            })
            .collect(),
        name: "before".to_owned(),
        labels: Labels::from([("job".to_owned(), "one".to_owned())]),
        group: volumes.len() > 1,
        quiesce: None,
        memory: Memory::No,
        copy: CopyKind::Shallow,
    }
}

pub(crate) fn take_volume(volume: &ResourceRef) -> Operation {
    Operation::Snapshot(take(volume, &[volume]))
}

pub(crate) fn create_instance(name: &str, volumes: &[&ResourceRef]) -> Operation {
    Operation::CreateInstance {
        name: name.to_owned(),
        labels: Labels::new(),
        disks: volumes
            .iter()
            .enumerate()
            .map(|(index, volume)| NewDisk {
                name: format!("disk-{index}"),
                volume: (*volume).clone(),
                boot: index == 0,
            })
            .collect(),
    }
}

pub(crate) fn create_volume(name: &str, size: u64, from: Option<&ResourceRef>) -> Operation {
    Operation::CreateVolume {
        name: name.to_owned(),
        labels: Labels::new(),
        size,
        from: from.cloned(),
    }
}

/// Submits and asks until it is over.
pub(crate) async fn drive(
    provider: &dyn Provider,
    key_text: &str,
    operation: &Operation,
) -> stillpoint_core::Result<Output> {
    provider.submit(&key(key_text), operation).await?;
    match settle(provider, key_text, operation).await {
        Observation::Done { output, twins } => {
            assert!(twins.is_empty());
            Ok(output)
        }
        Observation::Failed { error, left } => {
            assert!(left.is_empty(), "{left:?}");
            Err(error)
        }
        other => panic!("{operation}: {other:?}"),
    }
}

/// Asks by key alone until it no longer runs.
pub(crate) async fn settle(
    provider: &dyn Provider,
    key_text: &str,
    operation: &Operation,
) -> Observation {
    loop {
        match provider
            .observe(&key(key_text), operation, None)
            .await
            .unwrap()
        {
            Observation::Running { look_again_in, .. } => tokio::time::sleep(look_again_in).await,
            over => return over,
        }
    }
}

pub(crate) async fn snapshot(
    provider: &dyn Provider,
    key_text: &str,
    volume: &ResourceRef,
) -> TakenSnapshot {
    match drive(provider, key_text, &take_volume(volume))
        .await
        .unwrap()
    {
        Output::Snapshot(taken) => taken,
        other => panic!("{other:?}"),
    }
}
