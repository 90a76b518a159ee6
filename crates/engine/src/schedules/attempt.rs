//! A run is worked off by one engine at a time, and by another once that is gone; and whatever
//! goes wrong with it, it ends.

use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_schedule::RunKey;
use stillpoint_state::lease::{Lease, Leases};

use super::fire;
use super::ledger::lease_name;
use super::run::{RunItem, RunState};
use super::work_off::work_off;
use crate::caught::caught;
use crate::engine::Engine;
use crate::run::is_lasting;

/// For how long an engine has a run without saying so again; the same as for a job.
const LEASE: Duration = Duration::from_secs(60);

/// How long to wait before a run goes on whose state was away.
const SLOW: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(60);

/// What became of a run here.
pub(crate) enum Attempted {
    /// Another engine works it off.
    Elsewhere,
    /// It cannot even be ended. The next start tries it again.
    GivenUp,
    /// It is over; these waited for it.
    Over(Vec<RunKey>),
}

/// Works a run off, however often the state is away meanwhile.
pub(crate) async fn attempt(engine: &Engine, key: &RunKey) -> Attempted {
    let mut wait = SLOW;
    loop {
        match try_attempt(engine, key).await {
            Ok(attempted) => return attempted,
            Err(error) if is_lasting(&error) => {
                tracing::error!(%key, %error, "this run cannot be ended");
                return Attempted::GivenUp;
            }
            Err(error) => tracing::warn!(%key, %error, "the run goes on later"),
        }
        engine.shared().clock.sleep(wait).await;
        wait = (wait * 2).min(SLOWEST);
    }
}

async fn try_attempt(engine: &Engine, key: &RunKey) -> Result<Attempted> {
    let (shared, ledger) = (engine.shared(), engine.ledger());
    let run = ledger.run(key).await?;
    if run.is_none_or(|run| run.value.state != RunState::Going) {
        // No lease is taken for nothing: it would stay where this process dies next.
        return Ok(Attempted::Over(Vec::new()));
    }
    let leases = Leases::new(ledger.state.clone());
    let (name, now) = (lease_name(key), shared.clock.now());
    let lease = match leases.acquire(&name, &shared.holder, now, LEASE).await {
        Err(error) if error.kind() == ErrorKind::Busy => return Ok(Attempted::Elsewhere),
        lease => lease?,
    };
    let work = async {
        let worked = caught(&format!("run {key}"), work_off(engine, key, &lease)).await;
        match worked.flatten() {
            Err(error) if is_lasting(&error) => break_off(engine, key, &lease, &error).await,
            begun => begun,
        }
    };
    tokio::select! {
        // In this order always: who simulates it gets equal runs of equal seeds.
        biased;
        begun = work => begun.map(Attempted::Over),
        () = lost(engine, &leases, &lease) => Ok(Attempted::Elsewhere),
    }
}

/// Says again and again that the run is ours, and returns once it is another's.
async fn lost(engine: &Engine, leases: &Leases, lease: &Lease) {
    let clock = &engine.shared().clock;
    loop {
        clock.sleep(LEASE / 2).await;
        match leases.renew(lease, clock.now(), LEASE).await {
            Err(error) if lease.is_lost(&error) => return,
            Err(error) => tracing::warn!(%error, "{} is renewed later", lease.name()),
            Ok(_) => {}
        }
    }
}

/// Ends a run that cannot be worked off, with what it has taken. Another try would end as this one.
async fn break_off(
    engine: &Engine,
    key: &RunKey,
    lease: &Lease,
    error: &Error,
) -> Result<Vec<RunKey>> {
    tracing::error!(%key, %error, "this run breaks off");
    // Perhaps it is the items that cannot be read.
    let items = engine.ledger().items(key).await.unwrap_or_default();
    let taken = items.iter().filter(|item| RunItem::is_taken(item)).count();
    let (now, error) = (engine.now(), error.to_report());
    fire::finish(engine.ledger(), key, lease, |run| {
        run.ended_at = Some(now);
        run.state = RunState::Broken {
            taken,
            error: error.clone(),
        };
    })
    .await
}
