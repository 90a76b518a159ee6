use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::batch::{Batch, Guard};
use crate::conformance::{Verdict, ensure, number};
use crate::entry::Revision;
use crate::state::{State, StateExt};

const CHANGES: u64 = 100;
/// Who is not woken by then never is.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    past_changes_count(&*state).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        tasks.spawn(watch(Arc::clone(&state)));
    }
    tasks.spawn(write(Arc::clone(&state)));
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// A change that was committed before the call, and after what the caller has read.
async fn past_changes_count(state: &dyn State) -> Verdict {
    let before = state.scan_prefix("past/").await?.revision();
    let mut batch = Batch::new();
    batch.put("past/a", Guard::Any, "1");
    let put = state.commit(batch).await?.revision;
    woken(state, "past/", before, "a key was written before the call").await?;

    let mut batch = Batch::new();
    batch.delete("past/a", Guard::Any);
    state.commit(batch).await?;
    let mut batch = Batch::new();
    batch.put("elsewhere", Guard::Any, "1");
    state.commit(batch).await?;
    woken(state, "past/", put, "a key was deleted before the call").await
}

async fn woken(state: &dyn State, prefix: &str, since: Revision, why: &str) -> Verdict {
    let waited = timeout(PATIENCE, state.changed(prefix, since)).await;
    ensure!(waited.is_ok(), "nobody was woken, though {why}");
    Ok(waited.unwrap_or(Ok(()))?)
}

/// Each change is made once all watchers may be waiting, and many while they read.
async fn write(state: Arc<dyn State>) -> Verdict {
    for change in 1..=CHANGES {
        let mut batch = Batch::new();
        batch.put("watched/number", Guard::Any, change.to_string());
        batch.put("unwatched", Guard::Any, change.to_string());
        state.commit(batch).await?;
        if change % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut batch = Batch::new();
        batch.put("unwatched", Guard::Any, "noise");
        state.commit(batch).await?;
    }
    Ok(())
}

async fn watch(state: Arc<dyn State>) -> Verdict {
    loop {
        let scan = state.scan_prefix("watched/").await?;
        let seen = scan.revision();
        let number = match scan.collect().await?.first() {
            Some(entry) => number(&entry.value)?,
            None => 0,
        };
        if number == CHANGES {
            return Ok(());
        }
        let why = format!("{number} was read and {CHANGES} is written");
        woken(&*state, "watched/", seen, &why).await?;
    }
}
