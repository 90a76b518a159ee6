//! Every change of the catalogue is in its audit, once, and replaying that gives the catalogue.

mod sample;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use stillpoint_core::{Error, ErrorKind, Result, Snapshot, SnapshotId};
use stillpoint_state::catalogue::{Author, Catalogue, Change, Changed, Query, Row, replay};
use stillpoint_state::{Batch, Committed, Entry, Memory, Revision, Scan, State, StateExt};

use crate::sample::snapshot;

/// What is done to the catalogue: which of three snapshots, and how.
#[derive(Clone, Copy, Debug)]
enum Step {
    Expire(u8, Option<i64>),
    Insert(u8),
    Label(u8, u8),
    Pin(u8),
    Remove(u8),
    Rename(u8, u8),
    /// Several fields at once, as a job does at its end.
    Rewrite(u8, u8),
    Unpin(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let snapshot = || 0_u8..3;
    let step = prop_oneof![
        (snapshot(), prop::option::of(0_i64..3)).prop_map(|(id, at)| Step::Expire(id, at)),
        snapshot().prop_map(Step::Insert),
        (snapshot(), 0_u8..3).prop_map(|(id, to)| Step::Label(id, to)),
        snapshot().prop_map(Step::Pin),
        snapshot().prop_map(Step::Remove),
        (snapshot(), 0_u8..3).prop_map(|(id, to)| Step::Rename(id, to)),
        (snapshot(), 0_u8..3).prop_map(|(id, to)| Step::Rewrite(id, to)),
        snapshot().prop_map(Step::Unpin),
    ];
    prop::collection::vec(step, 0..60)
}

struct Bed {
    state: Arc<dyn State>,
    catalogue: Catalogue,
}

impl Bed {
    fn new() -> Self {
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let catalogue = Catalogue::new(Arc::clone(&state));
        Self { state, catalogue }
    }

    fn anna(&self, second: i64) -> Author {
        let at = Timestamp::from_second(second).unwrap();
        self.catalogue.by("anna", at)
    }

    async fn insert(&self, author: &Author, number: u8) -> bool {
        let mut batch = Batch::new();
        author.insert(&mut batch, &snapshot(number)).unwrap();
        self.state.commit(batch).await.is_ok()
    }

    async fn remove(&self, author: &Author, row: &Row) {
        let mut batch = Batch::new();
        author.remove(&mut batch, row).unwrap();
        self.state.commit(batch).await.unwrap();
    }

    /// Does it, as far as it can be done.
    async fn step(&self, second: i64, step: Step) {
        let anna = self.anna(second);
        let id = |number| snapshot(number).id;
        let done = match step {
            Step::Insert(number) => {
                self.insert(&anna, number).await;
                return;
            }
            Step::Remove(number) => {
                if let Ok(row) = self.catalogue.get(id(number)).await {
                    self.remove(&anna, &row).await;
                }
                return;
            }
            Step::Rewrite(number, to) => {
                if let Ok(row) = self.catalogue.get(id(number)).await {
                    let after = Snapshot {
                        name: format!("name-{to}"),
                        description: format!("of second {second}"),
                        taken_at: (to > 0).then_some(at(second)),
                        schedule: (to > 1).then(|| "nightly".to_owned()),
                        ..row.snapshot.clone()
                    };
                    let mut batch = Batch::new();
                    anna.update(&mut batch, &row, &after).unwrap();
                    self.state.commit(batch).await.unwrap();
                }
                return;
            }
            Step::Expire(number, at) => {
                let at = at.map(|second| Timestamp::from_second(second).unwrap());
                anna.expire(id(number), at).await
            }
            Step::Label(number, to) => {
                let labels = (0..to).map(|it| (format!("label-{it}"), String::new()));
                anna.set_labels(id(number), labels.collect()).await
            }
            Step::Pin(number) => anna.pin(id(number), "audit").await,
            Step::Rename(number, to) => anna.rename(id(number), &format!("name-{to}")).await,
            Step::Unpin(number) => anna.unpin(id(number), "audit").await,
        };
        if let Err(error) = done {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    }

    async fn changes(&self) -> Vec<Change> {
        let all = self.catalogue.changes(None, Revision::ZERO).await;
        all.unwrap()
    }

    async fn listed(&self) -> BTreeMap<SnapshotId, Snapshot> {
        let page = self.catalogue.list(&Query::default()).await.unwrap();
        let rows = page.rows.into_iter().map(|row| row.snapshot);
        rows.map(|snapshot| (snapshot.id, snapshot)).collect()
    }

    async fn revision(&self) -> Revision {
        self.state.scan_prefix("").await.unwrap().revision()
    }
}

proptest! {
    /// With a clock that stops, with one that goes, and with one that goes back.
    #[test]
    fn the_audit_replayed_is_the_catalogue(steps in steps(), pace in -1_i64..2) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bed = Bed::new();
            for (number, step) in steps.iter().enumerate() {
                let before = bed.revision().await;
                bed.step(pace * i64::try_from(number).unwrap(), *step).await;
                let written = bed.revision().await > before;
                let new = bed.catalogue.changes(None, before).await.unwrap();
                assert_eq!(new.len(), usize::from(written), "{step:?}: {new:?}");
            }
            assert_eq!(replay(&bed.changes().await).unwrap(), bed.listed().await);
        });
    }
}

#[tokio::test]
async fn it_says_who_when_and_what() {
    let bed = Bed::new();
    let id = snapshot(1).id;
    bed.insert(&bed.catalogue.by("a job", Timestamp::UNIX_EPOCH), 1)
        .await;
    let added = bed.revision().await;
    let row = bed.anna(7).rename(id, "golden").await.unwrap();
    bed.remove(&bed.anna(8), &row).await;

    let changes = bed.catalogue.changes(Some(id), Revision::ZERO).await;
    let [first, second, third] = <[Change; 3]>::try_from(changes.unwrap()).unwrap();
    assert_eq!(
        (first.by.as_str(), first.at),
        ("a job", Timestamp::UNIX_EPOCH)
    );
    assert_eq!(first.revision, added);
    assert_eq!(first.what, Changed::Added(Box::new(snapshot(1))));
    assert_eq!((second.by.as_str(), second.at), ("anna", at(7)));
    let fields = [("name".to_owned(), "golden".into())];
    assert_eq!(second.what, Changed::Fields(fields.into_iter().collect()));
    assert_eq!(third.what, Changed::Removed);
    let other = bed.catalogue.changes(Some(snapshot(2).id), Revision::ZERO);
    assert_eq!(other.await.unwrap(), []);
}

#[tokio::test]
async fn who_waits_for_changes_misses_none() {
    let bed = Bed::new();
    let seen = bed.revision().await;
    bed.insert(&bed.anna(1), 1).await;
    bed.catalogue.changed(seen).await.unwrap();
    assert_eq!(bed.catalogue.changes(None, seen).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_is_gone_is_forgotten_and_only_in_time() {
    let bed = Bed::new();
    let (gone, there) = (snapshot(1).id, snapshot(2).id);
    bed.insert(&bed.anna(0), 1).await;
    bed.insert(&bed.anna(0), 2).await;
    // More than go in one batch.
    for number in 0..100 {
        for id in [gone, there] {
            let renamed = bed.anna(1).rename(id, &format!("name-{number}")).await;
            renamed.unwrap();
        }
    }
    let row = bed.catalogue.get(gone).await.unwrap();
    bed.remove(&bed.anna(5), &row).await;

    assert_eq!(bed.catalogue.forget_removed(at(5)).await.unwrap(), 0);
    assert_eq!(bed.changes().await.len(), 203);
    assert_eq!(bed.catalogue.forget_removed(at(6)).await.unwrap(), 1);
    assert_eq!(bed.changes().await.len(), 101);
    assert_eq!(replay(&bed.changes().await).unwrap(), bed.listed().await);
}

/// A state that is cut off after one commit.
#[derive(Debug)]
struct CutOff(Arc<dyn State>, AtomicUsize);

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl State for CutOff {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.0.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.0.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 => self.0.commit(batch).await,
            _ => Err(Error::new(ErrorKind::Unavailable, "it is cut off")),
        }
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.0.changed(prefix, since).await
    }
}

#[tokio::test]
async fn what_is_half_forgotten_does_not_come_back() {
    let bed = Bed::new();
    bed.insert(&bed.anna(0), 1).await;
    for number in 0..150 {
        let (anna, name) = (bed.anna(1), format!("name-{number}"));
        anna.rename(snapshot(1).id, &name).await.unwrap();
    }
    let row = bed.catalogue.get(snapshot(1).id).await.unwrap();
    bed.remove(&bed.anna(2), &row).await;
    for commits in 0..3 {
        let cut_off = CutOff(Arc::clone(&bed.state), AtomicUsize::new(0));
        let cut_off = Catalogue::new(Arc::new(cut_off));
        let forgotten = cut_off.forget_removed(at(9)).await;
        assert_eq!(forgotten.is_ok(), commits == 2, "{commits}: {forgotten:?}");
        assert!(
            replay(&bed.changes().await).unwrap().is_empty(),
            "{commits}"
        );
    }
    assert_eq!(bed.changes().await, []);
}

#[tokio::test]
async fn a_history_without_its_beginning_is_no_catalogue() {
    let bed = Bed::new();
    bed.insert(&bed.anna(0), 1).await;
    let row = bed.anna(1).rename(snapshot(1).id, "golden").await.unwrap();
    let half = &bed.changes().await[1..];
    let refused = replay(half).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains(&snapshot(1).id.to_string()));

    // Unless it is gone: then somebody may have begun to forget it.
    bed.remove(&bed.anna(2), &row).await;
    assert!(replay(&bed.changes().await[1..]).unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_change_is_not_in_it() {
    let bed = Bed::new();
    assert!(bed.insert(&bed.anna(0), 1).await);
    let row = bed.catalogue.get(snapshot(1).id).await.unwrap();
    bed.anna(1).rename(snapshot(1).id, "golden").await.unwrap();
    let mut late = Batch::new();
    bed.anna(2).remove(&mut late, &row).unwrap();
    let refused = bed.state.commit(late).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(replay(&bed.changes().await).unwrap(), bed.listed().await);
    assert_eq!(bed.changes().await.len(), 2);
}

fn at(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}
