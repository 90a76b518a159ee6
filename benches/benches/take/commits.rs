use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use stillpoint::Result;
use stillpoint::state::{Batch, Committed, Entry, Redb, Revision, Scan, State};

/// The state in its file, which counts its commits: each is durable, so each is a sync.
#[derive(Debug)]
pub(crate) struct Commits {
    state: Redb,
    made: Arc<AtomicU64>,
}

impl Commits {
    pub(crate) fn of(state: Redb) -> (Self, Arc<AtomicU64>) {
        let made = Arc::default();
        (
            Self {
                state,
                made: Arc::clone(&made),
            },
            made,
        )
    }
}

impl fmt::Display for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

#[async_trait]
impl State for Commits {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.state.get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.state.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let committed = self.state.commit(batch).await;
        self.made.fetch_add(1, Ordering::Relaxed);
        committed
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.state.changed(prefix, since).await
    }
}
