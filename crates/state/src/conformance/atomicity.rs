use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::batch::{Batch, Guard};
use crate::conformance::{Verdict, ensure, number};
use crate::state::{State, StateExt};

const KEYS: u64 = 8;
const WRITERS: u64 = 4;
const BATCHES: u64 = 25;

/// Writers set all keys to one number, readers must never see two.
pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    refused_changes_nothing(&*state).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        readers.spawn(read(Arc::clone(&state), Arc::clone(&over)));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&state), writer));
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    over.store(true, Ordering::Release);
    while let Some(done) = readers.join_next().await {
        done??;
    }
    Ok(())
}

async fn write(state: Arc<dyn State>, writer: u64) -> Verdict {
    for turn in 0..BATCHES {
        let value = (writer * BATCHES + turn).to_string();
        let mut batch = Batch::new();
        for key in 0..KEYS {
            batch.put(format!("atomic/{key}"), Guard::Any, value.clone());
        }
        state.commit(batch).await?;
    }
    Ok(())
}

async fn read(state: Arc<dyn State>, over: Arc<AtomicBool>) -> Verdict {
    loop {
        let last = over.load(Ordering::Acquire);
        let entries = state.scan_prefix("atomic/").await?.collect().await?;
        ensure!(
            entries.is_empty() || entries.len() as u64 == KEYS,
            "{} of {KEYS} writes of a batch show",
            entries.len()
        );
        for entry in &entries {
            let (first, this) = (number(&entries[0].value)?, number(&entry.value)?);
            ensure!(
                first == this,
                "writes of batches {first} and {this} show together"
            );
            ensure!(
                entries[0].version == entry.version,
                "writes of one batch have versions {} and {}",
                entries[0].version,
                entry.version
            );
        }
        if last {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

async fn refused_changes_nothing(state: &dyn State) -> Verdict {
    // Whatever order the writes are made in, some stand before the guard that fails.
    for guarded in ["refused/0", "refused/2", "refused/4"] {
        let mut batch = Batch::new();
        for key in 0..5 {
            let key = format!("refused/{key}");
            if key != guarded {
                batch.put(key, Guard::Any, "half");
            }
        }
        batch.require(guarded, Guard::At(crate::Revision::new(u64::MAX)));
        ensure!(
            state.commit(batch).await.is_err(),
            "a guard that fails is passed over"
        );
        let left = state.scan_prefix("refused/").await?.collect().await?;
        ensure!(
            left.is_empty(),
            "{} writes of a refused batch were made",
            left.len()
        );
    }
    Ok(())
}
