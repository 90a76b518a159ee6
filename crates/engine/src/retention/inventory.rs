//! The catalogue as the pure planner sees it.

use std::collections::{BTreeMap, BTreeSet};

use stillpoint_core::{ResourceRef, Result, Snapshot, SnapshotId, SnapshotState};
use stillpoint_schedule::retention::{Health, Snapshot as Seen, Use};
use stillpoint_state::catalogue::Query;
use stillpoint_state::claims::Claim;

use super::PruneSubject;
use crate::engine::Engine;

/// What the planner decides over, and what a person is shown of it.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) snapshots: Vec<Seen>,
    pub(crate) subjects: BTreeMap<SnapshotId, PruneSubject>,
}

impl Inventory {
    /// Every snapshot of what a schedule took: its own, and those of the same sources that others
    /// took and that it has to leave alone.
    pub(crate) async fn of_schedule(
        engine: &Engine,
        schedule: &str,
        of: Option<&BTreeSet<ResourceRef>>,
    ) -> Result<Self> {
        let all = settled(engine, &Query::default()).await?;
        let own = |it: &&Snapshot| it.schedule.as_deref() == Some(schedule);
        let sources: BTreeSet<_> = match of {
            Some(sources) => sources.iter().collect(),
            None => all.iter().filter(own).map(|it| &it.source).collect(),
        };
        let of_them = all.iter().filter(|it| sources.contains(&it.source));
        Self::of(engine, of_them, |it| it.schedule.clone()).await
    }

    /// Every snapshot of one source, where those of schedules that keep everything, or are gone,
    /// count as taken by hand.
    pub(crate) async fn of_source(engine: &Engine, source: &ResourceRef) -> Result<Self> {
        let query = Query {
            source: Some(source.clone()),
            ..Query::default()
        };
        let all = settled(engine, &query).await?;
        let mut pruned = BTreeSet::new();
        for schedule in all.iter().filter_map(|it| it.schedule.as_deref()) {
            let stored = engine.ledger().find(schedule).await?;
            if stored.is_some_and(|stored| stored.value.spec.keep.is_some()) {
                pruned.insert(schedule);
            }
        }
        let policy = |it: &Snapshot| it.schedule.clone().filter(|it| pruned.contains(&**it));
        Self::of(engine, all.iter(), policy).await
    }

    async fn of(
        engine: &Engine,
        snapshots: impl Iterator<Item = &Snapshot>,
        policy: impl Fn(&Snapshot) -> Option<String>,
    ) -> Result<Self> {
        let mut inventory = Self::default();
        let claims = engine.shared().store.claims.snapshots().await?;
        for snapshot in snapshots {
            let mut seen = seen(snapshot, policy(snapshot));
            if let Some(claim) = claims.get(&snapshot.id) {
                seen.in_use = uses(engine, snapshot.id, claim).await;
            }
            inventory.snapshots.push(seen);
            let subject = PruneSubject {
                name: snapshot.name.clone(),
                source: snapshot.source.clone(),
            };
            inventory.subjects.insert(snapshot.id, subject);
        }
        Ok(inventory)
    }
}

/// What is neither still being taken nor already being deleted.
async fn settled(engine: &Engine, query: &Query) -> Result<Vec<Snapshot>> {
    let query = Query {
        states: BTreeSet::from([SnapshotState::Partial, SnapshotState::Taken]),
        ..query.clone()
    };
    let page = engine.catalogue().list(&query).await?;
    Ok(page.rows.into_iter().map(|row| row.snapshot).collect())
}

fn seen(snapshot: &Snapshot, policy: Option<String>) -> Seen {
    let health = match (snapshot.state, snapshot.verified) {
        (SnapshotState::Taken, Some(_)) => Health::Verified,
        (SnapshotState::Taken, None) => Health::Unverified,
        _ => Health::Failed,
    };
    Seen {
        policy,
        health,
        labels: snapshot.labels.clone(),
        pinned: !snapshot.pins.is_empty(),
        expires_at: snapshot.expires_at,
        ..Seen::new(
            snapshot.id.to_string(),
            snapshot.source.to_string(),
            snapshot.taken_at.unwrap_or(snapshot.created_at),
        )
    }
}

/// The jobs that need a snapshot to stay.
async fn uses(engine: &Engine, snapshot: SnapshotId, claim: &Claim) -> Vec<Use> {
    let mut uses = Vec::new();
    for job in claim.jobs() {
        let hold = engine.shared().store.hold(job).await;
        let is_safety = hold.is_ok_and(|(hold, _)| hold.safety == snapshot);
        let job = job.to_string();
        uses.push(if is_safety {
            Use::SafetySnapshot { job }
        } else {
            Use::RestoreSource { job }
        });
    }
    uses
}
