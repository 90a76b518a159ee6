use std::time::Duration;

use tokio::time::timeout;

use crate::batch::{Batch, Guard};
use crate::conformance::{TestBed, Verdict, ensure};
use crate::state::State;

pub(super) async fn check(bed: &dyn TestBed) -> Verdict {
    let mut state = bed.fresh().await;
    let first = write(&*state, "0").await?;
    for round in 1..4 {
        let due = state.scan("", "").await?;
        let revision = due.revision();
        let due = due.collect().await?;
        let Some(opened) = bed.reopen(state).await else {
            return Ok(());
        };
        state = opened;
        let scan = state.scan("", "").await?;
        ensure!(
            scan.revision() >= revision,
            "the revision was {revision}, and is {} after opening",
            scan.revision()
        );
        let found = scan.collect().await?;
        ensure!(
            found == due,
            "there were {due:?}, and after opening there are {found:?}"
        );
        // In the first round there is no change yet after the first write.
        if round > 1 {
            let woken = timeout(Duration::from_secs(10), state.changed("", first)).await;
            ensure!(
                woken.is_ok(),
                "a change before closing does not count after opening"
            );
        }
        let next = write(&*state, &round.to_string()).await?;
        ensure!(
            next > revision,
            "a commit after opening has revision {next}, and there was {revision} before"
        );
    }
    Ok(())
}

/// Also deletes, so that the newest version of all entries is older than the revision.
async fn write(state: &dyn State, name: &str) -> Verdict<crate::Revision> {
    let mut batch = Batch::new();
    batch
        .put(format!("kept/{name}"), Guard::Absent, "1")
        .put("gone", Guard::Any, "1")
        .put("changed", Guard::Any, name.to_owned());
    let first = state.commit(batch).await?.revision;
    let mut batch = Batch::new();
    batch.delete("gone", Guard::At(first));
    Ok(state.commit(batch).await?.revision)
}
