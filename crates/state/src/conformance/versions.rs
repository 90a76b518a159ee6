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
        let beside = match turn % 4 {
            0 => format!("new/{turn}"),
            _ => "some".to_owned(),
        };
        match turn % 4 {
            2 => batch.delete(beside.as_str(), Guard::Any),
            3 => batch.delete("never", Guard::Any),
            _ => batch.put(beside.as_str(), Guard::Any, "1"),
        };
        let revision = state.commit(batch).await?.revision;
        ensure!(
            revision > last,
            "a commit has revision {revision}, after one that has {last}"
        );
        for key in ["each", beside.as_str()] {
            let entry = state.get(key).await?;
            let right = match turn % 4 {
                0 | 1 => entry.as_ref().is_some_and(|e| e.version == revision),
                _ => entry.as_ref().is_none_or(|e| e.version == revision),
            };
            ensure!(right, "a commit of revision {revision} left {entry:?}");
        }
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
