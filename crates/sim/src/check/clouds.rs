use std::collections::BTreeSet;

use stillpoint_core::{ResourceKind, ResourceRef};
use stillpoint_iaas::sim::Item;

use super::jobs::Known;
use crate::world::World;

/// What exists because of us is in the catalogue or was made for a caller, and what is in the
/// catalogue exists.
pub(crate) fn inventory(world: &World, known: &Known, violations: &mut Vec<String>) {
    let uncertain = known.uncertain();
    let (mut listed, mut doubtful) = (BTreeSet::new(), BTreeSet::new());
    for (id, snapshot) in &known.snapshots {
        let parts = snapshot.parts.iter().map(|part| part.snapshot.clone());
        if uncertain.contains(id) {
            doubtful.extend(parts);
        } else {
            listed.extend(parts);
        }
    }
    let made: BTreeSet<_> = known
        .jobs
        .values()
        .flat_map(|(job, _)| job.made.clone())
        .collect();
    let waiting: Vec<_> = known.waiting().iter().map(ToString::to_string).collect();
    let mut there = BTreeSet::new();
    for cloud in world.clouds() {
        for (resource, item) in cloud.inventory().ours() {
            there.insert(resource.clone());
            let by_waiting = item.made_by.as_ref().is_some_and(|key| {
                waiting
                    .iter()
                    .any(|job| key.as_str().starts_with(job.as_str()))
            });
            let known = listed.contains(resource) || made.contains(resource);
            if !known && !by_waiting && !doubtful.contains(resource) {
                violations.push(format!("an orphan: {resource}, {item}"));
            }
        }
    }
    for lost in listed.difference(&there) {
        violations.push(format!("in the catalogue, and nowhere else: {lost}"));
    }
}

/// Nobody is frozen, and who ran runs.
pub(crate) fn guests(world: &World, violations: &mut Vec<String>) {
    let before = world.remembered();
    for (number, cloud) in world.clouds().iter().enumerate() {
        for (resource, item) in &cloud.inventory().items {
            if item.state.contains("frozen") {
                violations.push(format!("{resource} is frozen"));
            }
            let was = before.get(number).and_then(|it| it.items.get(resource));
            let ran = was.is_some_and(|was: &Item| was.state == "on");
            if ran && item.state == "off" {
                violations.push(format!("{resource} ran, and is off"));
            }
        }
    }
}

/// What was somebody else's at the start is as it was, but for the bytes of volumes.
pub(crate) fn foreign(world: &World, violations: &mut Vec<String>) {
    for (before, cloud) in world.remembered().iter().zip(world.clouds()) {
        let now = cloud.inventory();
        for (resource, item) in before.foreign() {
            match now.items.get(resource) {
                None => violations.push(format!("somebody else's {resource} is gone")),
                Some(now) if same(resource, item, now) => {}
                Some(now) => violations.push(format!(
                    "somebody else's {resource} was {item} and is {now}"
                )),
            }
        }
    }
}

fn same(resource: &ResourceRef, before: &Item, now: &Item) -> bool {
    let bytes = resource.kind() == ResourceKind::Volume || before.digest == now.digest;
    bytes
        && (&before.name, &before.labels, &before.made_by, &before.disks)
            == (&now.name, &now.labels, &now.made_by, &now.disks)
}
