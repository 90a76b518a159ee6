use std::sync::Arc;

use crate::batch::{Batch, Guard};
use crate::conformance::{Verdict, ensure};
use crate::state::{State, StateExt};

/// In the order of their bytes, which is not that of any language, nor of UTF-16.
const KEYS: [&str; 12] = [
    "A", "Z", "a", "a b", "a!", "a/", "a/1", "a/10", "a/2", "a0", "ä", "\u{ffee}",
];
const AFTER_ALL: &str = "\u{10fffe}";

pub(super) async fn in_order(state: Arc<dyn State>) -> Verdict {
    let mut keys = KEYS.to_vec();
    keys.push(AFTER_ALL);
    keys.sort_unstable();
    let mut batch = Batch::new();
    for key in keys.iter().rev() {
        batch.put(*key, Guard::Absent, (*key).to_owned());
    }
    state.commit(batch).await?;

    let mut bounds = keys.clone();
    bounds.extend(["", "0", "a/0", "a/3", "zz"]);
    for from in &bounds {
        for to in &bounds {
            let found = state.scan(from, to).await?.collect().await?;
            let found: Vec<_> = found.iter().map(|entry| entry.key.as_str()).collect();
            let due: Vec<_> = keys
                .iter()
                .copied()
                .filter(|key| from <= key && (to.is_empty() || key < to))
                .collect();
            ensure!(
                found == due,
                "from `{from}` to `{to}` there are {found:?} where there should be {due:?}"
            );
        }
    }
    let under = state.scan_prefix("a/").await?.collect().await?;
    ensure!(
        under.len() == 4,
        "{} of 4 keys start with `a/`",
        under.len()
    );
    for key in keys {
        let entry = state.get(key).await?;
        let right = entry
            .as_ref()
            .is_some_and(|e| e.key == key && e.value == key);
        ensure!(right, "under `{key}` there is {entry:?}");
    }
    Ok(())
}

pub(super) async fn deleted_is_absent(state: Arc<dyn State>) -> Verdict {
    let mut batch = Batch::new();
    batch
        .put("a", Guard::Any, "1")
        .put("b", Guard::Any, "1")
        .put("empty", Guard::Any, "");
    let first = state.commit(batch).await?.revision;
    let empty = state.get("empty").await?;
    ensure!(
        empty.is_some(),
        "a key with an empty value counts as absent"
    );

    let mut batch = Batch::new();
    batch
        .delete("a", Guard::At(first))
        .delete("never", Guard::Any);
    state.commit(batch).await?;
    let found = state.get("a").await?;
    ensure!(found.is_none(), "a deleted key is there as {found:?}");
    let left = state.scan("", "").await?.collect().await?;
    let left: Vec<_> = left.iter().map(|entry| entry.key.as_str()).collect();
    ensure!(
        left == ["b", "empty"],
        "after deleting `a` there are {left:?}"
    );

    let mut batch = Batch::new();
    batch.require("a", Guard::At(first));
    ensure!(
        state.commit(batch).await.is_err(),
        "a deleted key still is at its version"
    );
    let mut batch = Batch::new();
    batch.delete("a", Guard::Any);
    state.commit(batch).await?;
    let mut batch = Batch::new();
    batch.put("a", Guard::Absent, "2");
    let again = state.commit(batch).await?.revision;
    ensure!(
        again > first,
        "a key written again is at version {again}, and was at {first} before it was deleted"
    );
    Ok(())
}
