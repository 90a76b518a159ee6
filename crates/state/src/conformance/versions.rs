use std::sync::Arc;

use crate::batch::{Batch, Guard};
use crate::conformance::{Verdict, ensure};
use crate::entry::Revision;
use crate::state::State;

pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    let mut last = Revision::ZERO;
    let mut untouched = None;
    for turn in 0..20 {
        let mut batch = Batch::new();
        batch.put("each", Guard::Any, "same");
        match turn % 4 {
            0 => batch.put(format!("new/{turn}"), Guard::Absent, "1"),
            1 => batch.put("some", Guard::Any, "1"),
            2 => batch.delete("some", Guard::Any),
            _ => batch.delete("never", Guard::Any),
        };
        let revision = state.commit(batch).await?.revision;
        ensure!(
            revision > last,
            "a commit has revision {revision}, after one that has {last}"
        );
        let version = state.get("each").await?.map(|entry| entry.version);
        ensure!(
            version == Some(revision),
            "a commit of revision {revision} wrote version {version:?}"
        );
        let first = state.get("new/0").await?.map(|entry| entry.version);
        ensure!(
            first == *untouched.get_or_insert(first),
            "a key that nobody wrote is at version {first:?} and was at {untouched:?}"
        );
        let guards = guards_only(&*state, revision).await?;
        ensure!(
            guards == revision,
            "a batch without writes is of revision {guards}, and {revision} is the newest"
        );
        last = revision;
    }
    Ok(())
}

async fn guards_only(state: &dyn State, at: Revision) -> Verdict<Revision> {
    let mut batch = Batch::new();
    batch.require("each", Guard::At(at));
    Ok(state.commit(batch).await?.revision)
}
