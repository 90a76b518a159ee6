use std::sync::Arc;

use stillpoint_core::{ErrorKind, World};

use crate::batch::{Batch, Guard, MAX_BATCH_BYTES, MAX_BATCH_KEYS};
use crate::conformance::{Verdict, ensure};
use crate::entry::Revision;
use crate::key::MAX_KEY_BYTES;
use crate::state::State;

pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    for (what, batch) in over() {
        let refused = state.commit(batch).await.err();
        let right = refused.as_ref().is_some_and(|error| {
            error.kind() == ErrorKind::Invalid && error.world() == World::Untouched
        });
        ensure!(right, "a batch with {what} is answered with {refused:?}");
        let left = state.scan("", "").await?.collect().await?;
        ensure!(left.is_empty(), "a batch with {what} was made in part");
    }
    for (what, batch) in within() {
        let outcome = state.commit(batch).await;
        ensure!(
            outcome.is_ok(),
            "a batch with {what} is answered with {outcome:?}"
        );
    }
    let longest = state.get(&"k".repeat(MAX_KEY_BYTES)).await?;
    ensure!(longest.is_some(), "the longest key is not there");
    let largest = state.get("large").await?.map(|entry| entry.value.len());
    ensure!(
        largest == Some(MAX_BATCH_BYTES - "large".len()),
        "the largest value has {largest:?} bytes"
    );
    Ok(())
}

fn within() -> [(&'static str, Batch); 3] {
    let mut guards = Batch::new();
    for key in 0..MAX_BATCH_KEYS {
        guards.require(format!("absent/{key}"), Guard::Absent);
    }
    [
        ("as many writes as may be", keys(MAX_BATCH_KEYS)),
        ("as many guards as may be", guards),
        ("as many bytes as may be", bytes(MAX_BATCH_BYTES)),
    ]
}

fn over() -> [(&'static str, Batch); 8] {
    let with = |fill: &dyn Fn(&mut Batch)| {
        let mut batch = Batch::new();
        batch.put("before", Guard::Any, "1");
        fill(&mut batch);
        batch
    };
    [
        ("a key too many", keys(MAX_BATCH_KEYS + 1)),
        ("a byte too many", bytes(MAX_BATCH_BYTES + 1)),
        (
            "a key that is too long",
            with(&|b| {
                b.put("k".repeat(MAX_KEY_BYTES + 1), Guard::Any, "1");
            }),
        ),
        (
            "an empty key",
            with(&|b| {
                b.put("", Guard::Any, "1");
            }),
        ),
        (
            "a control character in a key",
            with(&|b| {
                b.put("a\0b", Guard::Any, "1");
            }),
        ),
        (
            "two writes of one key",
            with(&|b| {
                b.put("before", Guard::Any, "2");
            }),
        ),
        (
            "a write and a deletion of one key",
            with(&|b| {
                b.delete("before", Guard::Any);
            }),
        ),
        (
            "two guards of one key",
            with(&|b| {
                b.require("other", Guard::Absent)
                    .require("other", Guard::At(Revision::new(1)));
            }),
        ),
    ]
}

fn keys(count: usize) -> Batch {
    let mut batch = Batch::new();
    // The longest, so that the limits may be reached together.
    batch.put("k".repeat(MAX_KEY_BYTES), Guard::Any, "1");
    for key in 1..count {
        batch.put(format!("many/{key}"), Guard::Any, "1");
    }
    batch
}

fn bytes(count: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put("large", Guard::Any, vec![7; count - "large".len()]);
    batch
}
