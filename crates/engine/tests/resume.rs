//! A job that waits for a person goes on once, however many say so.

mod common;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Bench, Story};
use stillpoint_core::{ErrorKind, Result};
use stillpoint_iaas::sim::{At, Call, Fault, Personality};
use stillpoint_restore::Outcome;
use stillpoint_state::{Batch, Committed, Entry, Operation, Revision, Scan, State, Write};

/// A state where others come between what is read and what is written of it, and where a lease is
/// given back slowly.
#[derive(Debug)]
struct Between(Arc<dyn State>);

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl State for Between {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let entry = self.0.get(key).await;
        tokio::task::yield_now().await;
        entry
    }

    async fn scan(&self, from: &str, to: &str) -> Result<Scan> {
        self.0.scan(from, to).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed> {
        let operations = batch.clone().into_operations()?;
        let deletes = |it: &Operation| it.write == Some(Write::Delete);
        if operations.len() == 2 && operations.values().any(deletes) {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        self.0.commit(batch).await
    }

    async fn changed(&self, prefix: &str, since: Revision) -> Result<()> {
        self.0.changed(prefix, since).await
    }
}

#[tokio::test(start_paused = true)]
async fn two_say_at_once_that_it_goes_on() {
    let mut bench = Bench::new(Personality::Process);
    bench.drive_on(Arc::new(Between(Arc::clone(&bench.state))));
    let request = bench.set_up(Story::Take).await;
    // Nobody but a person can tell what that call did.
    let lost = Fault::TimedOut { done: true };
    bench.cloud.fault(At::call(Call::Submit), lost);
    let plan = bench.engine.plan(&request).await.unwrap();
    let id = bench.engine.start(&plan).await.unwrap();
    let waits = |outcome: &Option<Outcome>| {
        assert!(
            matches!(outcome, Some(Outcome::NeedsIntervention { .. })),
            "{outcome:?}"
        );
    };
    waits(&bench.finish(id).await.outcome);
    let (one, other) = tokio::join!(bench.engine.resume(id), bench.engine.resume(id));
    let refused = one.and(other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(
        refused.to_string().contains("somebody else resumed"),
        "{refused}"
    );
    waits(&bench.finish(id).await.outcome);
}

/// Resumed before the driver that had it has given back its lease: orders reach the new one.
#[tokio::test(start_paused = true)]
async fn a_driver_that_ends_does_not_hide_the_next() {
    let mut bench = Bench::new(Personality::Process);
    bench.drive_on(Arc::new(Between(Arc::clone(&bench.state))));
    let request = bench.set_up(Story::Take).await;
    bench
        .cloud
        .fault(At::call(Call::Submit), Fault::TimedOut { done: true });
    let plan = bench.engine.plan(&request).await.unwrap();
    let id = bench.engine.start(&plan).await.unwrap();
    bench.finish(id).await;
    let by = Duration::from_secs(60);
    bench
        .cloud
        .fault(At::call(Call::Observe), Fault::Stall { by });
    bench.engine.resume(id).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    bench.engine.stop(id).await.unwrap();
}
