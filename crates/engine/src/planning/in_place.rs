use std::collections::BTreeSet;

use stillpoint_core::{
    ConsistencyRecord, CopyKind, Detail, JobId, Labels, Memory, Part, Resource, ResourceRef,
    Result, Snapshot, SnapshotId, SnapshotState,
};
use stillpoint_iaas::{DiskOf, Operation, OperationKind, ProviderExt, Reverts, TakeSnapshot};
use stillpoint_restore::{Bracket, Phase, Plan, PlanBuilder, Step};

use super::taking::{Taking, takings};
use super::{
    Asked, MOVING, Planner, QUICK, Restoring, bound, build, is_running, one_way, size, total,
};
use crate::action::{Action, Ask, Source};
use crate::plan::{Change, Claim, Effect, JobPlan};

impl Planner<'_> {
    /// Over the volumes it was taken of, with a safety snapshot of them first where there is room
    /// for one.
    pub(super) async fn in_place(&self, restoring: &Restoring<'_>) -> Result<JobPlan> {
        let Restoring {
            ask,
            snapshot,
            undoes,
            ..
        } = restoring;
        let asked = self.ask(snapshot.source.provider()).await?;
        let mut blocked = Vec::new();
        let parts = self.parts(&asked, restoring, &mut blocked).await?;
        let target = asked.provider.describe(&snapshot.source).await?;
        let outlook = asked.provider.outlook(&snapshot.source).await?;
        let one_way = outlook.reverts == Reverts::ToLatest;
        asked.needs(&[OperationKind::Revert], &mut blocked);
        if one_way {
            one_way::check(&asked, restoring, &target, &parts, &mut blocked).await?;
        } else {
            asked.needs(&[OperationKind::Snapshot], &mut blocked);
        }
        let mut targets = vec![bound(&target)];
        for part in &parts {
            check_disk(&target, part, &mut blocked);
            if part.volume != target.reference
                && let Some(volume) = asked.provider.find(&part.volume).await?
            {
                targets.push(bound(&volume));
            }
        }
        let mut changes: Vec<Change> = parts
            .iter()
            .map(|part| {
                Change::Overwrite(format!(
                    "{} with `{}` ({})",
                    part.volume,
                    snapshot.name,
                    size(part.size)
                ))
            })
            .collect();
        if one_way {
            changes.push(Change::Delete("the way back: it cannot be undone".into()));
        } else if undoes.is_none() {
            changes.push(Change::Create(format!(
                "safety snapshot of {}",
                snapshot.source
            )));
        } else {
            changes.push(Change::Delete(format!(
                "safety snapshot `{}`",
                snapshot.name
            )));
        }
        let mut power = None;
        if is_running(&target) {
            match ask.may_power_off {
                Some(budget) => {
                    asked.needs(
                        &[OperationKind::PowerOff, OperationKind::PowerOn],
                        &mut blocked,
                    );
                    changes.push(Change::PowerOff(target.reference.to_string()));
                    power = Some(asked.power(&target.reference, budget));
                }
                None => blocked.push(format!(
                    "{} runs; stop it, or ask may_power_off",
                    target.reference
                )),
            }
        }
        let mut claims = vec![Claim::Change(target.reference.clone())];
        let volumes = parts.iter().map(|part| part.volume.clone());
        claims.extend(
            volumes
                .filter(|volume| *volume != target.reference)
                .map(Claim::Change),
        );
        claims.push(match undoes {
            // Its safety snapshot is held by the restore that is undone; this job acts for it.
            Some(job) => Claim::Settle(*job),
            None => Claim::Keep(snapshot.id),
        });
        let safety = self.safety(snapshot, &parts);
        let proof = asked.bytes().then(|| "prove".to_owned());
        let ground = Ground {
            asked: &asked,
            safety: &safety,
            parts: &parts,
            whole: whole(&target, &parts),
        };
        let taking = ground.safeguards().into_iter().map(|it| it.step).collect();
        let effect = match undoes {
            Some(of) => Effect::Undo {
                of: *of,
                safety: snapshot.id,
            },
            None if one_way => Effect::None,
            None => Effect::Safeguard {
                entry: Box::new(safety.clone()),
                steps: taking,
                proof,
            },
        };
        let builder = if one_way {
            one_way::steps(&asked, &target, &parts, power)
        } else {
            steps(&ground, power, undoes.is_some())
        };
        Ok(JobPlan {
            request: restoring.request.clone(),
            made_at: self.now,
            targets,
            changes,
            omitted: snapshot.omitted.clone(),
            claims,
            effect,
            steps: build(builder, &blocked)?,
            blocked_by: blocked,
        })
    }

    fn safety(&self, snapshot: &Snapshot, parts: &[Part]) -> Snapshot {
        let at = self.now.strftime("%Y%m%d-%H%M%S");
        Snapshot {
            id: SnapshotId::new(self.now, [0; 10]),
            source: snapshot.source.clone(),
            name: format!("{}-before-restore-{at}", snapshot.source.id()),
            description: format!("What a restore of `{}` replaced", snapshot.name),
            labels: Labels::new(),
            state: SnapshotState::Creating,
            parts: parts.to_vec(),
            omitted: snapshot.omitted.clone(),
            consistency: ConsistencyRecord::default(),
            memory: Memory::No,
            created_at: self.now,
            taken_at: None,
            verified: None,
            exports: Vec::new(),
            pins: BTreeSet::new(),
            schedule: None,
            expires_at: None,
            job: JobId::new(self.now, [0; 10]),
        }
    }
}

/// Whether the parts are all the volumes that the target has.
fn whole(target: &Resource, parts: &[Part]) -> bool {
    match &target.detail {
        Detail::Instance { disks, .. } => {
            disks.iter().filter(|disk| disk.volume.is_some()).count() == parts.len()
        }
        _ => true,
    }
}

/// Whether the target still has the disk that the part is of.
fn check_disk(target: &Resource, part: &Part, blocked: &mut Vec<String>) {
    let (found, has) = match &target.detail {
        Detail::Instance { disks, .. } => match disks.iter().find(|disk| disk.name == part.disk) {
            Some(disk) => (disk.volume.as_ref(), disk.size),
            None => {
                blocked.push(format!(
                    "{} has no disk `{}` any more",
                    target.reference, part.disk
                ));
                return;
            }
        },
        Detail::Volume { size, .. } => (Some(&target.reference), *size),
        _ => (None, 0),
    };
    if found != Some(&part.volume) {
        let now = found.map_or_else(|| "ephemeral".into(), ToString::to_string);
        blocked.push(format!(
            "disk `{}` is {now} now, the snapshot is of {}",
            part.disk, part.volume
        ));
    } else if has != part.size {
        let (now, then) = (size(has), size(part.size));
        blocked.push(format!(
            "disk `{}` has {now} now, the snapshot {then}",
            part.disk
        ));
    }
}

/// Safeguard, prove, revert each, compare each; an undo last deletes both safety snapshots.
fn steps(ground: &Ground<'_>, power: Option<Bracket<Action>>, undoes: bool) -> PlanBuilder<Action> {
    let Ground { asked, parts, .. } = *ground;
    let provider = asked.name.to_owned();
    let mut covered = Vec::new();
    let mut plan = Plan::builder();
    for Taking {
        step,
        source,
        parts: group,
    } in ground.safeguards()
    {
        let take = Operation::Snapshot(ground.take(source, group));
        let safeguard = asked.makes(step.clone(), Ask::Ready(take), total(group));
        let title = match group {
            [part] => format!("take a safety snapshot of `{}`", part.disk),
            parts => format!("take a safety snapshot of {} disks", parts.len()),
        };
        plan = plan.step(safeguard.title(title).phase(Phase::Safeguarding));
        covered.push(step);
    }
    let mut needed = covered.clone();
    if asked.bytes() {
        let bytes = 2 * total(parts);
        let verify = Action::Verify {
            provider: provider.clone(),
            steps: needed.clone(),
            bytes,
        };
        let prove = Step::new("prove", verify).title("read the safety snapshot back");
        let prove = prove.phase(Phase::Safeguarding).deadline(MOVING).harmless();
        plan = plan.step(
            needed
                .iter()
                .fold(prove, |it, step| it.needs(step.as_str())),
        );
        needed = vec!["prove".into()];
        covered.push("prove".into());
    }
    let mut last = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let revert = format!("revert/{number}");
        plan = plan.step(needed.iter().fold(revert_step(ground, number), |it, step| {
            it.needs(step.as_str())
        }));
        covered.push(revert.clone());
        let mut checked = revert.clone();
        if asked.bytes() {
            checked = format!("validate/{number}");
            plan = plan.step(asked.compared(part, number, revert));
            covered.push(checked.clone());
        }
        last.push(checked);
    }
    if undoes {
        plan = used_up(ground, &last, plan);
    }
    match power {
        Some(power) => plan.bracket(
            covered
                .iter()
                .fold(power, |it, step| it.covers(step.as_str())),
        ),
        None => plan,
    }
}

/// What the steps of a restore in place are made from.
struct Ground<'a> {
    asked: &'a Asked<'a>,
    safety: &'a Snapshot,
    parts: &'a [Part],
    /// Whether these are all the volumes that the target has.
    whole: bool,
}

impl<'a> Ground<'a> {
    /// The operation of one of them, as cheap a copy as the provider makes: it lives for as long
    /// as its restore may be undone, beside what it is of.
    fn take(&self, source: ResourceRef, parts: &[Part]) -> TakeSnapshot {
        let can = self.asked.can.snapshots.get(&source.kind());
        let of = |part: &Part| DiskOf {
            disk: part.disk.clone(),
            volume: part.volume.clone(),
        };
        TakeSnapshot {
            copy: can.map_or(CopyKind::Full, |can| can.copy),
            source,
            parts: parts.iter().map(of).collect(),
            name: self.safety.name.clone(),
            labels: Labels::new(),
            group: true,
            quiesce: None,
            memory: Memory::No,
        }
    }

    /// The steps that safeguard the target.
    fn safeguards(&self) -> Vec<Taking<'a, Part>> {
        takings(
            self.asked,
            "safeguard",
            &self.safety.source,
            self.whole,
            self.parts,
            |part| Some(&part.volume),
        )
    }
}

fn revert_step(ground: &Ground<'_>, number: usize) -> Step<Action> {
    let Ground { asked, parts, .. } = *ground;
    let part = &parts[number];
    let safeguards = ground.safeguards();
    let width = safeguards[0].parts.len();
    let to = Operation::Revert {
        volume: part.volume.clone(),
        to: part.snapshot.clone(),
    };
    let back = Ask::Revert {
        volume: part.volume.clone(),
        to: Source::output_of(safeguards[number / width].step.as_str(), number % width),
    };
    asked
        .changes(format!("revert/{number}"), Ask::Ready(to), part.size)
        .title(format!("revert `{}`", part.disk))
        .phase(Phase::Applying)
        .undo(Action::Ask {
            provider: asked.name.to_owned(),
            ask: back,
            bytes: part.size,
        })
}

/// The end of an undo: the point of no return, and both safety snapshots gone.
fn used_up(
    ground: &Ground<'_>,
    last: &[String],
    mut plan: PlanBuilder<Action>,
) -> PlanBuilder<Action> {
    let Ground { asked, parts, .. } = *ground;
    let mut before = last.to_vec();
    for (number, Taking { step, .. }) in ground.safeguards().into_iter().enumerate() {
        let discard = Action::Discard {
            provider: asked.name.to_owned(),
            step,
        };
        let tidy = Step::new(format!("tidy/{number}"), discard)
            .title("delete this undo's own safety snapshot")
            .phase(Phase::CuttingOver)
            .deadline(QUICK);
        let tidy = if number == 0 { tidy.pivot() } else { tidy };
        plan = plan.step(before.iter().fold(tidy, |it, step| it.needs(step.as_str())));
        before = vec!["tidy/0".into()];
    }
    for (number, part) in parts.iter().enumerate() {
        let step = asked.deletes(format!("used/{number}"), part.snapshot.clone());
        let step = step
            .title("delete the safety snapshot that was used")
            .phase(Phase::Unlocking);
        plan = plan.step(step.needs("tidy/0"));
    }
    plan
}
