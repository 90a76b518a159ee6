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
    for (wrong, rule) in ALL {
        let violation =
            conformance::check(Bed(wrong), rule).expect_err(&format!("{wrong:?} passes {rule:?}"));
        println!("{wrong:?}: {violation}");
        assert_eq!(violation.rule, rule);
    }
}

/// And no rule is broken by what is right: the wrapper itself is not what is caught.
#[test]
fn every_rule_is_broken_by_some() {
    for rule in Rule::ALL {
        assert!(ALL.iter().any(|(_, broken)| *broken == rule), "{rule:?}");
    }
}

struct Bed(Wrong);

#[async_trait]
impl TestBed for Bed {
    async fn fresh(&self) -> Arc<dyn State> {
        Arc::new(Flawed::over(self.0, Memory::new()))
    }

    /// What is opened again is a copy; a right one would have all entries and the revision.
    async fn reopen(&self, state: Arc<dyn State>) -> Option<Arc<dyn State>> {
        let scan = state.scan("", "").await.unwrap();
        let revision = scan.revision();
        let mut entries = scan.collect().await.unwrap();
        match self.0 {
            Wrong::ForgetsTheLastCommit => entries.retain(|entry| entry.version < revision),
            Wrong::ForgetsTheRevision => {}
            _ => return None,
        }
        let copy = Memory::new();
        for entry in entries {
            // Same versions, so that only what is forgotten differs.
            while copy.scan("", "").await.unwrap().revision().next() < entry.version {
                commit(&copy, |batch| batch.put("pad", Guard::Any, "")).await;
            }
            commit(&copy, |batch| batch.put(entry.key, Guard::Any, entry.value)).await;
        }
        commit(&copy, |batch| batch.delete("pad", Guard::Any)).await;
        Some(Arc::new(Flawed::over(self.0, copy)))
    }
}

async fn commit(state: &Memory, fill: impl FnOnce(&mut Batch) -> &mut Batch) {
    let mut batch = Batch::new();
    fill(&mut batch);
    state.commit(batch).await.unwrap();
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
