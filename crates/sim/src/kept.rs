use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use stillpoint_core::Result;
use stillpoint_state::{Batch, Committed, Entry, Revision, Scan, State};

use crate::disk::Disk;

/// What is durable, past all troubles.
#[derive(Debug)]
pub(crate) struct Kept(pub(crate) Arc<Disk>);

#[async_trait]
impl State for Kept {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.0.kept().get(key).await
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.0.kept().scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        self.0.commit(batch)
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.0.changed(prefix, since).await;
        Ok(())
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulation's state")
    }
}
