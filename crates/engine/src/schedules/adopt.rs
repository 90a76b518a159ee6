//! What an engine that is gone has left: runs and jobs whose lease is over. Whichever engine sees
//! that first goes on with them.

use std::collections::BTreeSet;

use stillpoint_core::Result;
use stillpoint_schedule::RunKey;
use stillpoint_state::lease::Leases;

use super::ledger;
use crate::engine::Engine;
use crate::shared::lock;
use crate::store;

/// The runs that are going and that nobody works off: neither this engine nor another.
pub(crate) async fn runs(engine: &Engine, here: &BTreeSet<RunKey>) -> Result<Vec<RunKey>> {
    let mut left = Vec::new();
    for (key, waits) in engine.ledger().open(None).await? {
        let free = async || is_free(engine, &ledger::lease_name(&key)).await;
        if !waits && !here.contains(&key) && free().await? {
            left.push(key);
        }
    }
    Ok(left)
}

/// Has those jobs driven here that nobody drives: the takes and deletions of such runs, and
/// whatever else was started.
pub(crate) async fn jobs(engine: &Engine) -> Result<()> {
    let shared = engine.shared();
    for job in shared.store.active().await? {
        let driven = shared.driver(job).is_some_and(|it| !it.is_closed());
        if driven || lock(&shared.given_up).contains_key(&job) {
            continue;
        }
        if is_free(engine, &store::lease_name(job)).await? {
            tracing::debug!(%job, "nobody drives it: it goes on here");
            engine.kick(job);
        }
    }
    Ok(())
}

async fn is_free(engine: &Engine, lease: &str) -> Result<bool> {
    let shared = engine.shared();
    let leases = Leases::new(shared.store.state.clone());
    let now = shared.clock.now();
    leases.is_free(lease, &shared.holder, now).await
}
