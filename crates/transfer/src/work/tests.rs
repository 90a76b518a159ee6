//! Steps alone, as an engine runs them that has lost its job to another one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use stillpoint_archive::depot::Depot;
use stillpoint_archive::{EntryOptions, WriteOptions, create};
use stillpoint_core::{JobId, Labels, SnapshotId, SnapshotState};
use stillpoint_engine::Executor as _;
use stillpoint_engine::background::Background;
use stillpoint_engine::{CustomObservation, CustomWork};
use stillpoint_state::Memory;
use stillpoint_state::catalogue::Catalogue;

use super::*;
use crate::store::{Fault, Watched};
use crate::transfer::{Inner, Transfer};
use crate::vault::Registered;

const JOB: &str = "job";

/// What works with this depot and nothing else.
pub(crate) fn transfer(depot: Depot, staging: &Path) -> Transfer {
    let mut vault = Vault::default();
    let staging = staging.to_owned();
    let registered = Registered { depot, staging };
    vault.depots.insert("offsite".to_owned(), registered);
    let providers = BTreeMap::new();
    Transfer {
        inner: Inner {
            catalogue: Catalogue::new(Arc::new(Memory::new())),
            bench: Arc::new(Bench { providers, vault }),
        },
    }
}

fn shelf() -> Shelf {
    Shelf::Depot("offsite".to_owned())
}

/// Runs a step to its end.
async fn run(transfer: Transfer, work: &Work) -> CustomObservation {
    let background = Background::new(transfer);
    let key = format!("{JOB}.step.1").parse().unwrap();
    let work = CustomWork {
        body: serde_json::to_value(work).unwrap(),
        inputs: Vec::new(),
        output: None,
    };
    loop {
        match background.observe(&key, &work, None).await.unwrap() {
            CustomObservation::Running { .. } => {}
            over => return over,
        }
    }
}

fn deliver() -> Work {
    let (shelf, stem) = (shelf(), "web".to_owned());
    Work::Deliver { shelf, stem }
}

fn archive(path: &Path) {
    create(path, &WriteOptions::new(), |writer| {
        writer.bytes("a", "hello", &EntryOptions::new())
    })
    .unwrap();
}

pub(crate) fn snapshot() -> Snapshot {
    let at = jiff::Timestamp::UNIX_EPOCH;
    Snapshot {
        id: SnapshotId::new(at, [7; 10]),
        source: "prod/instance/web-1".parse().unwrap(),
        name: "nightly".to_owned(),
        description: String::new(),
        labels: Labels::new(),
        state: SnapshotState::Taken,
        parts: Vec::new(),
        omitted: Vec::new(),
        consistency: Default::default(),
        memory: Default::default(),
        created_at: at,
        taken_at: Some(at),
        verified: None,
        exports: Vec::new(),
        pins: BTreeSet::new(),
        schedule: None,
        expires_at: None,
        job: JobId::new(at, [7; 10]),
    }
}

/// Whoever fails may have been overtaken, and what is in the depot is the other's.
#[tokio::test]
async fn what_another_engine_delivered_is_not_taken_back() {
    let top = tempfile::tempdir().unwrap();
    let depot = Depot::multipart(Arc::new(InMemory::new()), "archives").unwrap();
    let path = top.path().join("a.zip");
    archive(&path);
    depot.upload("web-job", &path).await.unwrap();
    // The other engine has also tidied up, so that there is nothing here to deliver.
    let staging = top.path().join("staging");
    std::fs::create_dir(&staging).unwrap();
    let failed = run(transfer(depot.clone(), &staging), &deliver()).await;
    let CustomObservation::Failed { left, .. } = failed else {
        panic!("{failed:?}");
    };
    assert!(left.is_some(), "its undo is to remove what is there");
    depot.verify("web-job").await.unwrap();
    // The undo does.
    let (shelf, stem) = (shelf(), "web".to_owned());
    let undo = Work::Withdraw { shelf, stem };
    let undone = run(transfer(depot.clone(), &staging), &undo).await;
    assert!(matches!(undone, CustomObservation::Done(_)), "{undone:?}");
    depot.receipt("web-job").await.unwrap_err();
}

/// A store that is away for a moment does not cost what it has already.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_cut_off_goes_on_in_its_step() {
    let top = tempfile::tempdir().unwrap();
    let staged = Staging::of(JOB, top.path());
    let entered = staged.enter().unwrap();
    archive(&staged.archive());
    drop(entered);
    let inner = Arc::new(InMemory::new());
    let store = Arc::new(Watched::new(Arc::clone(&inner), Fault::Away(15)));
    let depot = Depot::multipart(Arc::clone(&store), "archives").unwrap();
    let over = run(transfer(depot.part_size(100), top.path()), &deliver()).await;
    // It is no archive of a snapshot, which is found once it is there.
    let CustomObservation::Failed { error, .. } = over else {
        panic!("{over:?}");
    };
    assert!(error.message().contains("no snapshot"), "{error}");
    assert!(store.requests() > 16, "{}", store.requests());
    assert_eq!((store.begun(), store.aborted()), (1, 0));
    let there = Depot::multipart(inner, "archives").unwrap();
    there.verify("web-job").await.unwrap();
}

/// An attempt that was given up and still runs has the folder for itself.
#[tokio::test]
async fn what_an_earlier_attempt_is_at_work_on_stays() {
    let top = tempfile::tempdir().unwrap();
    let depot = || Depot::multipart(Arc::new(InMemory::new()), "archives").unwrap();
    let staged = Staging::of(JOB, top.path());
    let _entered = staged.enter().unwrap();
    let half = staged.archive().with_file_name(".half");
    std::fs::write(&half, "half").unwrap();
    let fetch = Work::Fetch {
        archive: "depot:offsite/web".parse().unwrap(),
        root: Digest::new([0; 32]),
    };
    let pack = Work::Pack {
        shelf: shelf(),
        snapshot: Box::new(snapshot()),
        seal_for: Vec::new(),
    };
    for work in [fetch, pack] {
        let busy = run(transfer(depot(), top.path()), &work).await;
        let CustomObservation::Failed { error, left } = busy else {
            panic!("{busy:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Busy, "{work:?}");
        assert!(left.is_none(), "what is there is not this attempt's");
        assert!(half.exists(), "{work:?}");
    }
}
