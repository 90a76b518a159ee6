//! Snapshots that expire: deleted when their time is over, unless something keeps them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{ErrorKind, Result, SnapshotId};
use stillpoint_schedule::retention::Keep;
use stillpoint_state::Revision;
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::retention::{Inventory, PrunePlan};

/// How long to leave one alone that is kept by something: a pin, a restore, being the last good.
const LATER: SignedDuration = SignedDuration::from_mins(15);

/// Snapshots that are looked at together; the rest of a great many comes a little later.
const AT_ONCE: usize = 64;

/// What expires, and what is being done about it.
pub(crate) struct Expiries {
    engine: Engine,
    /// The first that are to come, as of `seen`.
    next: Vec<(Timestamp, SnapshotId)>,
    seen: Option<Revision>,
    /// When to look again at those that could not go.
    later: BTreeMap<SnapshotId, Timestamp>,
    going: JoinSet<SnapshotId>,
    busy: std::collections::BTreeSet<SnapshotId>,
}

impl Expiries {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            next: Vec::new(),
            seen: None,
            later: BTreeMap::new(),
            going: JoinSet::new(),
            busy: std::collections::BTreeSet::new(),
        }
    }

    /// Deals with those whose time is over, and says when to look again.
    pub(crate) async fn look(&mut self, now: Timestamp) -> Result<Option<Timestamp>> {
        while let Some(ended) = self.going.try_join_next() {
            if let Ok(id) = ended {
                self.busy.remove(&id);
            }
        }
        let first = self.next.iter().map(|(at, id)| self.due(*at, *id)).min();
        if self.seen.is_none() || first.is_some_and(|first| first <= now) {
            let (next, revision) = self.engine.catalogue().expiring(now).await?;
            (self.next, self.seen) = (next, Some(revision));
        }
        let over: Vec<SnapshotId> = self
            .next
            .iter()
            .filter(|(at, id)| self.due(*at, *id) <= now && !self.busy.contains(id))
            .map(|(_, id)| *id)
            .take(AT_ONCE.saturating_sub(self.busy.len()))
            .collect();
        for id in over {
            self.later
                .insert(id, now.saturating_add(LATER).unwrap_or(Timestamp::MAX));
            self.busy.insert(id);
            let engine = self.engine.clone();
            self.going.spawn(async move {
                if let Err(error) = end(&engine, id).await {
                    tracing::warn!(snapshot = %id, %error, "it is expired, and still there");
                }
                id
            });
        }
        let next = &self.next;
        self.later
            .retain(|id, _| next.iter().any(|(_, other)| other == id));
        let waiting = self.next.iter().filter(|(_, id)| !self.busy.contains(id));
        Ok(waiting.map(|(at, id)| self.due(*at, *id)).min())
    }

    /// Returns when what expires may have changed.
    pub(crate) async fn changed(&mut self) -> Result<()> {
        let catalogue = self.engine.catalogue().clone();
        let seen = self.seen.unwrap_or(Revision::ZERO);
        tokio::select! {
            // In this order always: who simulates it gets equal runs of equal seeds.
            biased;
            changed = catalogue.expiring_changed(seen) => changed?,
            Some(ended) = self.going.join_next() => {
                if let Ok(id) = ended {
                    self.busy.remove(&id);
                }
            }
        }
        self.seen = None;
        Ok(())
    }

    fn due(&self, at: Timestamp, id: SnapshotId) -> Timestamp {
        self.later.get(&id).map_or(at, |later| at.max(*later))
    }
}

/// Deletes an expired snapshot if nothing keeps it: the planner that prunes decides.
async fn end(engine: &Engine, id: SnapshotId) -> Result<()> {
    let row = match engine.catalogue().get(id).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        row => row?,
    };
    let inventory = Inventory::of_source(engine, &row.snapshot.source).await?;
    // The name of no schedule: nothing is its own, and only what is expired may go.
    let keep = Keep::new().last(1);
    let now = engine.shared().clock.now();
    let plan = keep.plan("", &inventory.snapshots, now).map_err(|source| {
        stillpoint_core::Error::new(ErrorKind::Internal, "what expires cannot be planned")
            .because(source)
    })?;
    let mut plan = PrunePlan {
        schedule: String::new(),
        keep,
        plan,
        subjects: inventory.subjects,
    };
    plan.plan.deletions.retain(|other| *other == id.to_string());
    let pruned = engine.carry_out(&plan).await;
    match pruned.failed.into_values().next() {
        Some(report) => Err(report.into()),
        None => Ok(()),
    }
}
