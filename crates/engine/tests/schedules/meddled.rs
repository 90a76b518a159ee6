//! A state between which and the engine a test stands.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_state::{Batch, Committed, Entry, Revision, Scan, State};

/// What a call comes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meddle {
    /// The state is away.
    Away,
    /// It is as if there were nothing under that key: what is read is older than what is there.
    Blind,
    Pass,
    /// Others are let through before it, so many times.
    Yield(usize),
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb<'a> {
    Changed,
    Commit,
    Get(&'a str),
    Scan,
}

type Say = dyn Fn(Verb<'_>) -> Meddle + Send + Sync;

pub(crate) struct Meddled {
    inner: Arc<dyn State>,
    say: Box<Say>,
    /// Batches that were refused because of a guard.
    pub(crate) conflicts: AtomicUsize,
}

impl Meddled {
    pub(crate) fn new(
        inner: &Arc<dyn State>,
        say: impl Fn(Verb<'_>) -> Meddle + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            say: Box::new(say),
            conflicts: AtomicUsize::new(0),
        })
    }

    /// Tells whether the call sees nothing.
    async fn meddle(&self, verb: Verb<'_>) -> Result<bool> {
        match (self.say)(verb) {
            Meddle::Away => Err(Error::new(ErrorKind::Unavailable, "the state is away")),
            Meddle::Blind => Ok(true),
            Meddle::Pass => Ok(false),
            Meddle::Yield(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
                Ok(false)
            }
        }
    }
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddled")
    }
}

impl fmt::Display for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, meddled with", self.inner)
    }
}

#[async_trait]
impl State for Meddled {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        if self.meddle(Verb::Get(key)).await? {
            return Ok(None);
        }
        self.inner.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.meddle(Verb::Scan).await?;
        self.inner.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.meddle(Verb::Commit).await?;
        let committed = self.inner.commit(batch).await;
        if matches!(&committed, Err(error) if error.kind() == ErrorKind::Conflict) {
            self.conflicts.fetch_add(1, Ordering::SeqCst);
        }
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.meddle(Verb::Changed).await?;
        self.inner.changed(prefix, since).await
    }
}
