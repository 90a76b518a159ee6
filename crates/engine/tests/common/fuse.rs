use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_state::{Batch, Committed, Entry, Revision, Scan, State};
use tokio::sync::Notify;

/// A state at whose n-th commit something happens, before or after it is durable.
#[derive(Debug)]
pub struct Fuse {
    inner: Arc<dyn State>,
    /// Commits to go; 0: it never blows.
    left: AtomicUsize,
    after: bool,
    then: Then,
    pub blown: Notify,
    pub commits: AtomicUsize,
}

/// What happens when it has told that it is blown.
#[derive(Debug)]
enum Then {
    /// Everything goes on.
    GoOn,
    /// Everything stands still: there the test kills the engine.
    Halt,
    /// The answer is lost.
    Lose,
    /// Who commits panics.
    Panic,
}

impl Fuse {
    pub fn new(inner: Arc<dyn State>, at: usize, after: bool) -> Arc<Self> {
        Self::made(inner, at, after, Then::Halt)
    }

    /// One that only tells that the n-th commit is durable.
    pub fn passing(inner: Arc<dyn State>, at: usize) -> Arc<Self> {
        Self::made(inner, at, true, Then::GoOn)
    }

    /// One after whose n-th commit its caller panics.
    pub fn panicking(inner: Arc<dyn State>, at: usize) -> Arc<Self> {
        Self::made(inner, at, true, Then::Panic)
    }

    /// One whose n-th commit is made, and not acknowledged.
    pub fn losing(inner: Arc<dyn State>, at: usize) -> Arc<Self> {
        Self::made(inner, at, true, Then::Lose)
    }

    fn made(inner: Arc<dyn State>, at: usize, after: bool, then: Then) -> Arc<Self> {
        let (left, commits) = (AtomicUsize::new(at), AtomicUsize::new(0));
        Arc::new(Self {
            inner,
            left,
            after,
            then,
            blown: Notify::new(),
            commits,
        })
    }

    async fn blow(&self) {
        self.blown.notify_one();
        match self.then {
            Then::GoOn | Then::Lose => {}
            Then::Halt => std::future::pending().await,
            Then::Panic => panic!("as a test asked"),
        }
    }
}

impl fmt::Display for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a fuse before {}", self.inner)
    }
}

#[async_trait]
impl State for Fuse {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let blows = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            == Ok(1);
        if blows && !self.after {
            self.blow().await;
        }
        let committed = self.inner.commit(batch).await;
        if blows {
            self.blow().await;
            if let Then::Lose = self.then {
                return Err(Error::new(ErrorKind::Unavailable, "no answer").leaving(World::Unknown));
            }
        }
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.inner.changed(prefix, since).await
    }
}
