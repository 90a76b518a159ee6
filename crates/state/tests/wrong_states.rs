//! The kit can fail: each state here is wrong in one respect, and breaks the rule it is named for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_state::conformance::{self, Rule, TestBed};
use stillpoint_state::{
    Batch, Committed, Entry, Guard, Memory, Operation, Revision, Scan, State, StateExt, Write,
};

#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Commits each write of a batch by itself.
    CommitsOneByOne,
    /// Says that it conflicts, and not where.
    ConflictsWithoutAKey,
    /// Writes an empty value in place of deleting.
    DeletesByEmptying,
    /// Loses what was committed last when it is opened again.
    ForgetsTheLastCommit,
    /// Begins to count revisions anew when it is opened again.
    ForgetsTheRevision,
    /// Passes over guards where the batch writes.
    IgnoresGuards,
    /// Is right: what is caught elsewhere is not the wrapper.
    Nothing,
    /// Reads what was read before, now and then.
    ReadsFromACache,
    /// Shows the upper bound of a scan.
    ScansTooFar,
    /// Reads each page of a scan as of when it is read.
    ScansPageByPage,
    /// Refuses batches that are large but allowed.
    TakesHalf,
    /// Gives every key a count of its own as version.
    VersionsByKey,
    /// Wakes who waits, but not for what was before the call.
    WakesForTheFutureOnly,
    /// Does not wake for deletions.
    WakesForPutsOnly,
}

const ALL: [(Wrong, Rule); 13] = [
    (Wrong::CommitsOneByOne, Rule::BatchIsAtomic),
    (Wrong::ConflictsWithoutAKey, Rule::GuardsHold),
    (Wrong::DeletesByEmptying, Rule::DeletedIsAbsent),
    (
        Wrong::ForgetsTheLastCommit,
        Rule::CommittedSurvivesReopening,
    ),
    (Wrong::ForgetsTheRevision, Rule::CommittedSurvivesReopening),
    (Wrong::IgnoresGuards, Rule::CompareAndSwapIsLinearizable),
    (Wrong::ReadsFromACache, Rule::CompareAndSwapIsLinearizable),
    (Wrong::ScansTooFar, Rule::KeysAreInOrder),
    (Wrong::ScansPageByPage, Rule::ScanIsOfOneRevision),
    (Wrong::TakesHalf, Rule::LimitsAreRefused),
    (Wrong::VersionsByKey, Rule::VersionsGrow),
    (Wrong::WakesForTheFutureOnly, Rule::ChangesAreNotMissed),
    (Wrong::WakesForPutsOnly, Rule::ChangesAreNotMissed),
];

#[test]
fn each_wrong_state_breaks_its_rule() {
    // Side by side, since who is never woken takes as long as the kit is patient.
    std::thread::scope(|threads| {
        for (wrong, rule) in ALL {
            threads.spawn(move || {
                let Err(violation) = conformance::check(Bed(wrong), rule) else {
                    panic!("{wrong:?} passes {rule:?}");
                };
                println!("{wrong:?}: {violation}");
                assert_eq!(violation.rule, rule);
            });
        }
    });
}

#[test]
fn every_rule_is_broken_by_some_state_and_by_none_that_is_right() {
    for rule in Rule::ALL {
        assert!(ALL.iter().any(|(_, broken)| *broken == rule), "{rule:?}");
        if let Err(violation) = conformance::check(Bed(Wrong::Nothing), rule) {
            panic!("{violation}");
        }
    }
}

struct Bed(Wrong);

#[async_trait]
impl TestBed for Bed {
    async fn fresh(&self) -> Arc<dyn State> {
        Arc::new(Flawed::over(self.0, Memory::new()))
    }

    /// What is opened again is a copy: the same entries, at the same versions and revision.
    async fn reopen(&self, state: Arc<dyn State>) -> Option<Arc<dyn State>> {
        let scan = state.scan("", "").await.unwrap();
        let mut revision = scan.revision().number();
        let mut entries = scan.collect().await.unwrap();
        let newest = entries.iter().map(|entry| entry.version).max();
        match self.0 {
            Wrong::ForgetsTheLastCommit => entries.retain(|entry| Some(entry.version) != newest),
            Wrong::ForgetsTheRevision => revision = newest.map_or(0, Revision::number),
            _ => {}
        }
        let copy = Memory::new();
        for number in 1..=revision {
            let mut batch = Batch::new();
            for entry in &entries {
                if entry.version == Revision::new(number) {
                    batch.put(&entry.key, Guard::Any, entry.value.clone());
                }
            }
            // Moves on where nothing is left of that revision.
            batch.delete("nothing", Guard::Any);
            copy.commit(batch).await.unwrap();
        }
        Some(Arc::new(Flawed::over(self.0, copy)))
    }
}

#[derive(Debug)]
struct Flawed {
    wrong: Wrong,
    inner: Arc<Memory>,
    cache: Mutex<BTreeMap<String, Option<Entry>>>,
    calls: AtomicU64,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Flawed {
    fn over(wrong: Wrong, inner: Memory) -> Self {
        Self {
            wrong,
            inner: Arc::new(inner),
            cache: Mutex::default(),
            calls: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    async fn one_by_one(&self, operations: BTreeMap<String, Operation>) -> Result<Committed> {
        let mut last = Committed {
            revision: Revision::ZERO,
        };
        for (key, operation) in operations {
            let mut batch = Batch::new();
            add(&mut batch, key, operation);
            last = self.inner.commit(batch).await?;
            tokio::task::yield_now().await;
        }
        Ok(last)
    }
}

fn add(batch: &mut Batch, key: String, Operation { guard, write }: Operation) {
    match write {
        Some(Write::Delete) => batch.delete(key, guard),
        Some(Write::Put(value)) => batch.put(key, guard, value),
        None => batch.require(key, guard),
    };
}

#[async_trait]
impl State for Flawed {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let mut entry = self.inner.get(key).await?;
        match self.wrong {
            Wrong::ReadsFromACache => {
                // The old value, every fifth time.
                let before = self
                    .cache
                    .lock()
                    .unwrap()
                    .insert(key.to_owned(), entry.clone());
                if self.calls.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
                    entry = before.flatten();
                }
            }
            Wrong::VersionsByKey => {
                let counts = self.counts.lock().unwrap();
                if let Some(entry) = &mut entry {
                    entry.version = Revision::new(counts.get(key).copied().unwrap_or(1));
                }
            }
            _ => {}
        }
        Ok(entry)
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        match self.wrong {
            Wrong::ScansTooFar if !to.is_empty() && from < to => {
                let scan = self.inner.scan(from, to).await?;
                let revision = scan.revision();
                let bound = self.inner.get(to).await?.map(Ok);
                Ok(Scan::new(
                    revision,
                    Box::pin(scan.chain(stream::iter(bound))),
                ))
            }
            Wrong::ScansPageByPage => {
                let revision = self.inner.scan(from, to).await?.revision();
                let start = (Arc::clone(&self.inner), from.to_owned(), to.to_owned());
                let pages = stream::try_unfold(start, |(inner, from, to)| async move {
                    let page: Vec<_> = inner.scan(&from, &to).await?.take(64).collect().await;
                    let Some(Ok(last)) = page.last() else {
                        return Ok::<_, Error>(None);
                    };
                    let next = format!("{}\0", last.key);
                    Ok(Some((stream::iter(page), (inner, next, to))))
                });
                let entries = pages.flat_map(|page| match page {
                    Ok(page) => page.left_stream(),
                    Err(error) => stream::iter([Err(error)]).right_stream(),
                });
                Ok(Scan::new(revision, Box::pin(entries)))
            }
            _ => self.inner.scan(from, to).await,
        }
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let mut operations = batch.clone().into_operations()?;
        match self.wrong {
            Wrong::CommitsOneByOne => return self.one_by_one(operations).await,
            Wrong::ConflictsWithoutAKey => {
                return self
                    .inner
                    .commit(batch)
                    .await
                    .map_err(|error| Error::new(error.kind(), "somebody else was faster"));
            }
            Wrong::TakesHalf if batch.bytes() > 512 * 1024 => {
                return Err(Error::new(ErrorKind::Invalid, "too large"));
            }
            _ => {}
        }
        for (key, operation) in &mut operations {
            match self.wrong {
                Wrong::DeletesByEmptying if operation.write == Some(Write::Delete) => {
                    operation.write = Some(Write::Put(Bytes::new()));
                }
                Wrong::IgnoresGuards if operation.write.is_some() => operation.guard = Guard::Any,
                Wrong::VersionsByKey if operation.write.is_some() => {
                    *self.counts.lock().unwrap().entry(key.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        let mut batch = Batch::new();
        for (key, operation) in operations {
            add(&mut batch, key, operation);
        }
        self.inner.commit(batch).await
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        match self.wrong {
            Wrong::WakesForTheFutureOnly => {
                let now = self.inner.scan("", "").await?.revision();
                self.inner.changed(prefix, now.max(since)).await
            }
            Wrong::WakesForPutsOnly => {
                let mut seen = since;
                loop {
                    self.inner.changed(prefix, seen).await?;
                    let scan = self.inner.scan_prefix(prefix).await?;
                    seen = scan.revision();
                    if scan.collect().await?.iter().any(|e| e.version > since) {
                        return Ok(());
                    }
                }
            }
            _ => self.inner.changed(prefix, since).await,
        }
    }
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.wrong)
    }
}
