//! Whatever clocks do, no two grants have one epoch, and only the newest writes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use stillpoint_core::{ErrorKind, Result, Retry};
use stillpoint_state::lease::{Lease, Leases};
use stillpoint_state::{Batch, Committed, Entry, Guard, Memory, Revision, Scan, State, StateExt};

const TTL: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn leases() -> (Arc<dyn State>, Leases) {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    (Arc::clone(&state), Leases::new(state))
}

async fn can_write(state: &Arc<dyn State>, lease: &Lease) -> bool {
    let mut batch = Batch::new();
    batch.put("work", Guard::Any, "1");
    lease.guard(&mut batch);
    match state.commit(batch).await {
        Ok(_) => true,
        Err(error) => {
            assert!(lease.is_lost(&error), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn it_is_busy_until_it_has_run_out_and_says_whose() {
    let (state, leases) = leases();
    let first = leases.acquire("engine", "a", at(100), TTL).await.unwrap();
    assert_eq!((first.epoch(), first.until()), (1, at(130)));
    let busy = leases
        .acquire("engine", "b", at(129), TTL)
        .await
        .unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert_eq!(busy.retry(), Retry::After(Duration::from_secs(1)));
    assert!(busy.to_string().contains("held by `a`"), "{busy}");
    assert!(can_write(&state, &first).await);

    let is_free = async |who, second| leases.is_free("engine", who, at(second)).await.unwrap();
    assert!(!is_free("b", 129).await && is_free("a", 129).await && is_free("b", 130).await);
    assert!(leases.is_free("other", "b", at(100)).await.unwrap());

    let second = leases.acquire("engine", "b", at(130), TTL).await.unwrap();
    assert_eq!(second.epoch(), 2);
    assert!(!is_free("a", 131).await);
    leases.release(second.clone()).await.unwrap();
    assert!(is_free("a", 131).await);
    let second = leases.acquire("engine", "b", at(131), TTL).await.unwrap();
    assert!(!can_write(&state, &first).await);
    assert!(can_write(&state, &second).await);
    leases.acquire("other", "a", at(130), TTL).await.unwrap();
}

#[tokio::test]
async fn a_renewal_extends_it_and_disturbs_no_guard() {
    let (state, leases) = leases();
    let lease = leases.acquire("engine", "a", at(100), TTL).await.unwrap();
    let renewed = leases.renew(&lease, at(120), TTL).await.unwrap();
    assert_eq!((renewed.epoch(), renewed.until()), (1, at(150)));
    assert!(can_write(&state, &lease).await && can_write(&state, &renewed).await);
    let busy = leases
        .acquire("engine", "b", at(149), TTL)
        .await
        .unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);

    // Run out, and nobody took it: renewed. Taken: lost.
    let late = leases.renew(&renewed, at(500), TTL).await.unwrap();
    leases.acquire("engine", "b", at(600), TTL).await.unwrap();
    let lost = leases.renew(&late, at(600), TTL).await.unwrap_err();
    assert!(late.is_lost(&lost), "{lost}");
    let busy = leases
        .acquire("engine", "a", at(601), TTL)
        .await
        .unwrap_err();
    assert!(busy.to_string().contains("held by `b`"), "{busy}");
}

#[tokio::test]
async fn an_epoch_survives_release_and_restart() {
    let (state, leases) = leases();
    let first = leases.acquire("engine", "a", at(100), TTL).await.unwrap();
    leases.release(first.clone()).await.unwrap();
    assert!(!can_write(&state, &first).await);
    let second = leases.acquire("engine", "b", at(101), TTL).await.unwrap();
    assert_eq!(second.epoch(), 2);
    leases.release(first).await.unwrap();
    assert!(
        can_write(&state, &second).await,
        "a lost lease released another's"
    );

    // Killed and started again under its name: it need not wait, and shuts out what it was.
    let again = leases.acquire("engine", "b", at(102), TTL).await.unwrap();
    assert_eq!(again.epoch(), 3);
    assert!(!can_write(&state, &second).await);
}

#[tokio::test]
async fn a_lease_granted_by_a_clock_that_was_ahead_can_be_seized() {
    let (state, leases) = leases();
    let ahead = leases
        .acquire("engine", "a", at(900_000), TTL)
        .await
        .unwrap();
    let busy = leases
        .acquire("engine", "b", at(100), TTL)
        .await
        .unwrap_err();
    assert!(
        busy.to_string().contains("one of the clocks is wrong"),
        "{busy}"
    );
    let seized = leases.seize("engine", "b", at(100), TTL).await.unwrap();
    assert!(seized.epoch() > ahead.epoch());
    assert!(!can_write(&state, &ahead).await && can_write(&state, &seized).await);
}

#[tokio::test]
async fn no_request_starts_that_may_outlast_it() {
    let (_, leases) = leases();
    let lease = leases.acquire("engine", "a", at(100), TTL).await.unwrap();
    let second = Duration::from_secs(1);
    for (now, timeout, allowed) in [
        (100, 29 * second, true),
        (100, 30 * second, false),
        (129, second / 2, true),
        (129, second, false),
        (130, Duration::ZERO, false),
        (99, Duration::ZERO, false),
    ] {
        assert_eq!(lease.allows(at(now), timeout), allowed, "{now} {timeout:?}");
    }
    assert_eq!(lease.remaining(at(110)), 20 * second);
    assert_eq!(
        lease.remaining(at(99)),
        Duration::ZERO,
        "its clock went back"
    );
    assert_eq!(lease.remaining(at(10_000)), Duration::ZERO);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let (_, leases) = leases();
    let endless = leases
        .acquire("engine", "a", Timestamp::MAX, TTL)
        .await
        .unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::Invalid);
    let long = leases
        .acquire("engine", "a", at(0), Duration::MAX)
        .await
        .unwrap_err();
    assert_eq!(long.kind(), ErrorKind::Invalid);
    let name = leases.acquire("a\nb", "a", at(0), TTL).await.unwrap_err();
    assert_eq!(name.kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_has_it() {
    for _ in 0..20 {
        let (_, leases) = leases();
        let mut asking = tokio::task::JoinSet::new();
        for caller in 0..8 {
            let leases = leases.clone();
            asking.spawn(async move {
                let name = format!("node-{caller}");
                leases.acquire("engine", &name, at(100), TTL).await
            });
        }
        let granted = asking
            .join_all()
            .await
            .into_iter()
            .filter(Result::is_ok)
            .count();
        assert_eq!(granted, 1);
    }
}

/// Renews a lease just before the next commit, after everything was read for it.
#[derive(Debug)]
struct RenewsMeanwhile {
    inner: Arc<Memory>,
    lease: Mutex<Option<Lease>>,
}

#[async_trait]
impl State for RenewsMeanwhile {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let lease = self.lease.lock().unwrap().take();
        if let Some(lease) = lease {
            let leases = Leases::new(Arc::clone(&self.inner) as Arc<dyn State>);
            leases.renew(&lease, at(129), TTL).await?;
        }
        self.inner.commit(batch).await
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}

impl fmt::Display for RenewsMeanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[tokio::test]
async fn a_renewal_at_the_last_moment_counts() {
    let inner = Arc::new(Memory::new());
    let lease = Leases::new(Arc::clone(&inner) as Arc<dyn State>)
        .acquire("engine", "a", at(100), TTL)
        .await
        .unwrap();
    let state: Arc<dyn State> = Arc::new(RenewsMeanwhile {
        inner,
        lease: Mutex::new(Some(lease.clone())),
    });
    let leases = Leases::new(Arc::clone(&state));
    let busy = leases
        .acquire("engine", "b", at(130), TTL)
        .await
        .unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    assert!(can_write(&state, &lease).await);
}

#[derive(Clone, Debug)]
enum Step {
    Acquire,
    Release,
    Renew,
    Seize,
    Write,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step, i64)>> {
    let step = prop_oneof![
        5 => Just(Step::Acquire),
        1 => Just(Step::Release),
        2 => Just(Step::Renew),
        1 => Just(Step::Seize),
        4 => Just(Step::Write),
    ];
    // A clock of its own for every call: it stands, runs, jumps ahead and goes back.
    prop::collection::vec((0_usize..3, step, 0_i64..300), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clocks_that_jump_never_give_one_epoch_twice(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (state, leases) = leases();
            let mut held: [Option<Lease>; 3] = [None, None, None];
            let mut epochs = BTreeSet::new();
            // Who was granted it last, if it was not released since.
            let mut newest = None;
            for (who, step, clock) in steps {
                let name = format!("node-{who}");
                let now = at(clock);
                let grant = match (&step, held[who].clone()) {
                    (Step::Acquire, _) => leases.acquire("l", &name, now, TTL).await.ok(),
                    (Step::Seize, _) => Some(leases.seize("l", &name, now, TTL).await.unwrap()),
                    (Step::Release, Some(lease)) => {
                        if newest == Some(lease.epoch()) {
                            newest = None;
                        }
                        leases.release(lease).await.unwrap();
                        None
                    }
                    (Step::Renew, Some(lease)) => {
                        let renewed = leases.renew(&lease, now, TTL).await;
                        assert_eq!(renewed.is_ok(), newest == Some(lease.epoch()));
                        held[who] = renewed.ok();
                        None
                    }
                    (Step::Write, Some(lease)) => {
                        let newest = newest == Some(lease.epoch());
                        assert_eq!(can_write(&state, &lease).await, newest);
                        None
                    }
                    _ => None,
                };
                if let Some(lease) = grant {
                    assert!(epochs.iter().all(|epoch| *epoch < lease.epoch()));
                    assert!(epochs.insert(lease.epoch()));
                    newest = Some(lease.epoch());
                    held[who] = Some(lease);
                }
            }
        });
    }
}

#[tokio::test]
async fn a_grant_that_comes_late_for_what_is_over_is_refused() {
    let state: Arc<dyn State> = Arc::new(Memory::new());
    let leases = Leases::new(Arc::clone(&state));
    let mut work = Batch::new();
    work.put("work", Guard::Absent, "to be done");
    let version = state.commit(work).await.unwrap().revision;
    let mut there = Batch::new();
    there.require("work", Guard::At(version));

    let ttl = Duration::from_secs(30);
    let now = Timestamp::UNIX_EPOCH;
    let lease = leases
        .acquire_with("work", "a", now, ttl, &there)
        .await
        .unwrap();
    let mut over = Batch::new();
    over.delete("work", Guard::At(version));
    lease.end(&mut over);
    state.commit(over).await.unwrap();

    let late = leases.acquire_with("work", "b", now, ttl, &there).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
    let left = state
        .scan_prefix("")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}
