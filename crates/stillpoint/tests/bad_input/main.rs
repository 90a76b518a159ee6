//! What is asked wrongly, or of a world that is not as it should be: a typed error that says what,
//! where and what to do next, all reasons at once, and nothing was changed.

#[path = "../bed/mod.rs"]
mod bed;
mod clocks;
mod full_disk;
mod requests;
mod sources;
mod state;
mod targets;

use std::time::Duration;

use bed::{Bed, files};
use stillpoint::{Error, ErrorKind, JobQuery, Stillpoint, World};

#[track_caller]
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = format!("{error} {:?}", error.to_report().message);
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(error.advice().is_some(), "no advice: {text}");
    assert_eq!(error.world(), World::Untouched, "{text}");
}

/// What may not change where something is refused.
async fn inventory(bed: &Bed, still: &Stillpoint) -> impl PartialEq + std::fmt::Debug + use<> {
    let snapshots = still.snapshots(&Default::default()).await.unwrap().rows;
    let snapshots: Vec<_> = snapshots.into_iter().map(|row| row.snapshot).collect();
    (
        files(&bed.folder()),
        snapshots,
        still.jobs(&JobQuery::default()).await.unwrap(),
    )
}

async fn end(still: Stillpoint) {
    still.shutdown(Duration::from_secs(10)).await;
}

fn multi() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap()
}
