use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stillpoint_core::{JobId, Result, SnapshotId};
use stillpoint_state::catalogue::{Catalogue, replay};
use stillpoint_state::{Revision, StateExt};

use super::jobs::Known;
use crate::world::World;

/// Nothing is claimed, leased or to be driven, but for jobs that wait for a person and restores
/// that keep their safety snapshot.
pub(crate) async fn locks(
    world: &World,
    known: &Known,
    violations: &mut Vec<String>,
) -> Result<()> {
    let waiting = known.waiting();
    let holds = rows(world, "hold/").await?;
    for (key, value) in rows(world, "claim/").await? {
        let shared = value["shared"].as_array().into_iter().flatten();
        for job in shared
            .chain(Some(&value["exclusive"]))
            .filter_map(Value::as_str)
        {
            let waits = job.parse().is_ok_and(|job: JobId| waiting.contains(&job));
            let safety = holds
                .get(&format!("hold/{job}"))
                .and_then(|hold| hold["safety"].as_str());
            let held = safety.is_some_and(|safety| key == format!("claim/snapshot/{safety}"));
            if !waits && !held {
                violations.push(format!("{key} is claimed by {job}, which is over"));
            }
        }
    }
    for key in rows(world, "lease/").await?.keys() {
        let waits = waiting.iter().any(|job| key.contains(&job.to_string()));
        if key.ends_with("/until") && !waits {
            violations.push(format!("{key}: nobody gave that lease back"));
        }
    }
    for key in rows(world, "active/").await?.keys() {
        violations.push(format!("{key}: it is to be driven for ever"));
    }
    Ok(())
}

/// Each safety snapshot is held by its restore, and each hold has its snapshot.
pub(crate) async fn holds(
    world: &World,
    known: &Known,
    violations: &mut Vec<String>,
) -> Result<()> {
    let mut held = BTreeSet::new();
    for (key, value) in rows(world, "hold/").await? {
        let safety = value["safety"]
            .as_str()
            .and_then(|id| id.parse::<SnapshotId>().ok());
        match safety.filter(|id| known.snapshots.contains_key(id)) {
            Some(id) => {
                held.insert(id);
            }
            None => violations.push(format!("{key} keeps a snapshot that is not there")),
        }
        let settles = value["settled_by"]
            .as_str()
            .and_then(|id| id.parse::<JobId>().ok());
        if settles.is_some_and(|job| !known.waiting().contains(&job)) {
            violations.push(format!("{key} is being settled by a job that is over"));
        }
    }
    for (id, snapshot) in &known.snapshots {
        let Some((job, plan)) = known.jobs.get(&snapshot.job) else {
            violations.push(format!("snapshot {id} is of a job that there is not"));
            continue;
        };
        let safety = matches!(plan.effect, stillpoint_engine::Effect::Safeguard { .. });
        if safety && job.is_over() && !held.contains(id) {
            violations.push(format!("safety snapshot {id} is neither held nor gone"));
        }
    }
    Ok(())
}

/// Each `once` key stands for one job, and no job for two.
pub(crate) async fn once(world: &World, known: &Known, violations: &mut Vec<String>) -> Result<()> {
    let mut keys = BTreeMap::new();
    for (key, value) in rows(world, "once/").await? {
        let job = value.as_str().and_then(|id| id.parse::<JobId>().ok());
        let Some(job) = job.filter(|job| known.jobs.contains_key(job)) else {
            violations.push(format!("{key} stands for a job that there is not: {value}"));
            continue;
        };
        if let Some(other) = keys.insert(job, key.clone()) {
            violations.push(format!("{key} and {other} stand for one job"));
        }
    }
    Ok(())
}

/// The audit, replayed, is the catalogue.
pub(crate) async fn audit(
    world: &World,
    known: &Known,
    violations: &mut Vec<String>,
) -> Result<()> {
    let changes = Catalogue::new(world.state())
        .changes(None, Revision::ZERO)
        .await?;
    let audited = replay(&changes)?;
    if audited != known.snapshots {
        violations.push(format!(
            "the audit leads to {audited:?}, the catalogue has {:?}",
            known.snapshots
        ));
    }
    Ok(())
}

async fn rows(world: &World, prefix: &str) -> Result<BTreeMap<String, Value>> {
    let entries = world.state().scan_prefix(prefix).await?.collect().await?;
    let read = |entry: stillpoint_state::Entry| {
        let value = serde_json::from_slice(&entry.value).unwrap_or(Value::Null);
        (entry.key, value)
    };
    Ok(entries.into_iter().map(read).collect())
}
