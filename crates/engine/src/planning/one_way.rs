//! In place where each volume can be reverted to its latest snapshot alone: a safety snapshot would
//! come between, so there is none, and no way back once the first volume is reverted.

use stillpoint_core::{Detail, Disk, Part, Resource, ResourceKind, Result};
use stillpoint_iaas::{Filter, Operation, OperationKind, ProviderExt};
use stillpoint_restore::{Bracket, Phase, Plan, PlanBuilder};

use super::{Asked, Restoring};
use crate::action::{Action, Ask};

/// Notes all that stands in the way of such a restore.
pub(super) async fn check(
    asked: &Asked<'_>,
    restoring: &Restoring<'_>,
    target: &Resource,
    parts: &[Part],
    blocked: &mut Vec<String>,
) -> Result<()> {
    if !restoring.ask.without_undo {
        blocked.push(format!(
            "provider {} reverts to the latest snapshot alone, so no safety snapshot can come \
             between; ask without_undo, or restore to new",
            asked.name
        ));
    }
    for part in parts {
        let all = asked
            .provider
            .list_all(&Filter {
                of: Some(part.volume.clone()),
                ..Filter::kind(ResourceKind::Snapshot)
            })
            .await?;
        let at = all.iter().find(|it| it.reference == part.snapshot);
        let at = at.and_then(|it| it.created_at);
        if let Some(later) = all.iter().find(|it| it.created_at > at) {
            blocked.push(format!(
                "{} has a later snapshot, {}, and can be reverted to its latest alone; delete \
                 that, or restore to new",
                part.volume, later.reference
            ));
        }
    }
    if let Detail::Instance { disks, .. } = &target.detail {
        asked.needs(&[OperationKind::Attach, OperationKind::Detach], blocked);
        for part in parts.iter().filter(|part| boots(disks, part)) {
            blocked.push(format!(
                "{} cannot be detached from its instance, which boots from it; restore to new",
                part.volume
            ));
        }
    }
    Ok(())
}

fn boots(disks: &[Disk], part: &Part) -> bool {
    let same = disks.iter().find(|disk| disk.name == part.disk);
    same.is_some_and(|disk| disk.boot)
}

/// Revert each, detached meanwhile. Once the first is begun there is only forward.
pub(super) fn steps(
    asked: &Asked<'_>,
    target: &Resource,
    parts: &[Part],
    mut power: Option<Bracket<Action>>,
) -> PlanBuilder<Action> {
    let mut plan = Plan::builder();
    let mut brackets = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let to = Operation::Revert {
            volume: part.volume.clone(),
            to: part.snapshot.clone(),
        };
        let name = format!("revert/{number}");
        let step = asked
            .changes(name.clone(), Ask::Ready(to), part.size)
            .title(format!("revert `{}`", part.disk))
            .phase(Phase::CuttingOver);
        plan = plan.step(match number {
            0 => step.pivot(),
            _ => step.needs("revert/0"),
        });
        let mut covered = vec![name.clone()];
        if asked.bytes() {
            plan = plan.step(asked.compared(part, number, name));
            covered.push(format!("validate/{number}"));
        }
        let cover = |bracket: Bracket<Action>| {
            covered
                .iter()
                .fold(bracket, |it, step| it.covers(step.as_str()))
        };
        power = power.map(cover);
        if target.reference.kind() == ResourceKind::Instance {
            // Briefly: what cannot be reverted is attached again before a person looks at it.
            let (detach, attach) = around(target, part);
            let detached = asked.bracket(&format!("detached/{number}"), detach, attach);
            let detached = detached
                .briefly()
                .title(format!("`{}` is detached", part.disk));
            brackets.push(cover(detached));
        }
    }
    let brackets = power.into_iter().chain(brackets);
    brackets.fold(plan, PlanBuilder::bracket)
}

/// What takes a part's volume from its instance, and what brings it back.
fn around(target: &Resource, part: &Part) -> (Operation, Operation) {
    let instance = target.reference.clone();
    let volume = part.volume.clone();
    let detach = Operation::Detach {
        instance: instance.clone(),
        volume: volume.clone(),
    };
    let attach = Operation::Attach {
        instance,
        volume,
        disk: part.disk.clone(),
    };
    (detach, attach)
}
