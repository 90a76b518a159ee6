use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stillpoint::catalogue::Query;
use stillpoint::state::{Redb, State, StateExt};
use stillpoint::{Job, JobId, JobQuery, ResourceKind, ResourceRef, Snapshot, Stillpoint};

use super::{VOLUMES, folder, state_file};

/// All that a bed holds, when nothing works on it.
#[derive(Debug)]
pub struct Found {
    /// Every file below the folder, with the digest of its bytes.
    pub files: BTreeMap<String, String>,
    pub snapshots: Vec<Snapshot>,
    pub jobs: Vec<Job>,
    /// Every key of the state.
    pub keys: Vec<String>,
}

impl Found {
    pub async fn at(dir: &Path) -> Self {
        let files = files(&folder(dir));
        let state: Arc<dyn State> = Arc::new(Redb::open_read_only(state_file(dir)).unwrap());
        let entries = state
            .scan_prefix("")
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let keys = entries.into_iter().map(|entry| entry.key).collect();
        let still = Stillpoint::builder()
            .state(state)
            .read_only()
            .build()
            .unwrap();
        let page = still.snapshots(&Query::default()).await.unwrap();
        let snapshots = page.rows.into_iter().map(|row| row.snapshot).collect();
        let jobs = still.jobs(&JobQuery::default()).await.unwrap();
        Self {
            files,
            snapshots,
            jobs,
            keys,
        }
    }

    /// The folder holds what the catalogue and the jobs name, the volumes, the instance and the
    /// lock, and nothing else: no file too few, none too many.
    pub fn check_files(&self, what: &str) {
        let mut wanted: BTreeSet<String> = [".stillpoint/lock", ".stillpoint/instances/web.json"]
            .into_iter()
            .chain(VOLUMES.map(|(name, _)| name))
            .map(str::to_owned)
            .collect();
        let parts = self.snapshots.iter().flat_map(|snapshot| &snapshot.parts);
        for resource in parts
            .map(|part| &part.snapshot)
            .chain(self.jobs.iter().flat_map(|job| &job.made))
        {
            wanted.extend(files_of(resource));
        }
        // What is noted of a volume from outside is its own affair, and may be there or not.
        let noted: BTreeSet<String> = VOLUMES
            .map(|(name, _)| format!(".stillpoint/volumes/{name}.json"))
            .into();
        let there: BTreeSet<String> = self
            .files
            .keys()
            .filter(|name| !noted.contains(*name))
            .cloned()
            .collect();
        let orphans: Vec<_> = there.difference(&wanted).collect();
        let lost: Vec<_> = wanted.difference(&there).collect();
        assert!(
            orphans.is_empty() && lost.is_empty(),
            "{what}: orphans {orphans:?}, lost {lost:?}"
        );
    }

    /// No job is left to be driven, and nothing is claimed but what a restore keeps as its way back.
    pub fn check_state(&self, what: &str) {
        let of = |start: &str| {
            self.keys
                .iter()
                .filter(|it| it.starts_with(start))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("active/"), [""; 0], "{what}");
        assert_eq!(
            of("claim/").len(),
            of("hold/").len(),
            "{what}: {:?}",
            of("claim/")
        );
        assert_eq!(of("lease/"), [""; 0], "{what}");
        assert_eq!(of("jobs/").len(), self.jobs.len(), "{what}");
        assert_eq!(of("snapshot/").len(), self.snapshots.len(), "{what}");
    }

    /// The keys without what differs from run to run, and how often each is there.
    pub fn shape(&self) -> BTreeMap<String, usize> {
        let mut distinct = BTreeSet::new();
        for key in &self.keys {
            distinct.insert(match key.split_once("/journal/") {
                Some((job, _)) => format!("{job}/journal"),
                None => key.clone(),
            });
        }
        let mut shape = BTreeMap::new();
        for key in distinct {
            let parts: Vec<&str> = key
                .split('/')
                .map(|part| {
                    if part.parse::<JobId>().is_ok() || is_version(part) {
                        "*"
                    } else {
                        part
                    }
                })
                .collect();
            *shape.entry(parts.join("/")).or_default() += 1;
        }
        shape
    }
}

/// The place of a change in the audit: `<version>.<instant>`.
fn is_version(part: &str) -> bool {
    part.len() > 40 && part.bytes().all(|it| it.is_ascii_digit() || it == b'.')
}

/// The files that a snapshot, an image, an instance or a volume of our own consists of.
fn files_of(resource: &ResourceRef) -> Vec<String> {
    let id = resource.id();
    match resource.kind() {
        ResourceKind::Image => ["json", "raw"]
            .map(|it| format!(".stillpoint/images/{id}.{it}"))
            .into(),
        ResourceKind::Instance => vec![format!(".stillpoint/instances/{id}.json")],
        ResourceKind::Snapshot => ["json", "raw"]
            .map(|it| format!(".stillpoint/snapshots/{id}.{it}"))
            .into(),
        _ => vec![id.to_owned(), format!(".stillpoint/volumes/{id}.json")],
    }
}

/// Every file below a folder, with the digest of its bytes.
pub fn files(top: &Path) -> BTreeMap<String, String> {
    fn walk(at: &Path, top: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, top, into);
            } else {
                let name = path.strip_prefix(top).unwrap().display().to_string();
                into.insert(name, digest(&path));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(top, top, &mut found);
    found
}

pub fn digest(file: &Path) -> String {
    let bytes = fs::read(file).unwrap();
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
