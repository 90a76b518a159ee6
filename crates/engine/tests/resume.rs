//! A job that waits for a person goes on once, however many say so.

mod common;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use common::{Bench, Story};
use stillpoint_core::{ErrorKind, Result};
use stillpoint_iaas::sim::{At, Call, Fault, Personality};
use stillpoint_restore::Outcome;
use stillpoint_state::{Batch, Committed, Entry, Revision, Scan, State};

/// A state where others come between what is read and what is written of it.
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
    // It is driven as before: its driver was not taken for the one that had ended.
    bench.engine.resume(id).await.unwrap();
    waits(&bench.finish(id).await.outcome);
}
