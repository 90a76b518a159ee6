use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use crate::batch::{Batch, Guard, MAX_BATCH_KEYS};
use crate::conformance::{Verdict, ensure};
use crate::entry::Revision;
use crate::state::{State, StateExt};

/// Enough that nobody reads them in one page.
const KEYS: u64 = 1500;
const SCANS: usize = 10;

/// Many keys, and one token that moves among them: a scan that mixes revisions sees none or two.
pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    let mut batch = Batch::new();
    for key in 0..KEYS {
        batch.put(format!("scan/{key:04}"), Guard::Absent, "");
        if batch.len() == MAX_BATCH_KEYS || key == KEYS - 1 {
            state.commit(std::mem::take(&mut batch)).await?;
        }
    }
    let placed = {
        let mut batch = Batch::new();
        batch.put(token(0), Guard::Absent, "token");
        state.commit(batch).await?.revision
    };
    let over = Arc::new(AtomicBool::new(false));
    let mover = tokio::spawn(move_token(Arc::clone(&state), Arc::clone(&over)));
    let mut scans = JoinSet::new();
    for _ in 0..2 {
        scans.spawn(scan(Arc::clone(&state), placed));
    }
    while let Some(done) = scans.join_next().await {
        done??;
    }
    over.store(true, Ordering::Release);
    mover.await?
}

async fn move_token(state: Arc<dyn State>, over: Arc<AtomicBool>) -> Verdict {
    let mut at = 0;
    while !over.load(Ordering::Acquire) {
        // A step that visits all places, near and far, in both directions.
        let next = (at + 677) % KEYS;
        let mut batch = Batch::new();
        batch
            .delete(token(at), Guard::Any)
            .put(token(next), Guard::Absent, "token");
        state.commit(batch).await?;
        at = next;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn scan(state: Arc<dyn State>, mut known: Revision) -> Verdict {
    for _ in 0..SCANS {
        let mut scan = state.scan_prefix("scan/").await?;
        let revision = scan.revision();
        ensure!(
            revision >= known,
            "a scan is of revision {revision}, and {known} was known before it began"
        );
        known = revision;
        let (mut tokens, mut keys) = (0, 0);
        while let Some(entry) = scan.try_next().await? {
            ensure!(
                entry.version <= revision,
                "a scan of revision {revision} shows version {}",
                entry.version
            );
            if entry.value == "token" {
                tokens += 1;
            } else {
                keys += 1;
            }
            if keys % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        ensure!(
            tokens == 1,
            "a scan shows {tokens} tokens where there was always one"
        );
        ensure!(keys == KEYS, "a scan shows {keys} of {KEYS} keys");
    }
    Ok(())
}

fn token(at: u64) -> String {
    format!("scan/{at:04}/token")
}
