use stillpoint_core::{Labels, Part, ResourceKind, Result};
use stillpoint_iaas::{Operation, OperationKind};
use stillpoint_restore::{Phase, Plan, PlanBuilder, Step};

use super::{Asked, MOVING, Planner, Restoring, build, check_free, size};
use crate::action::{Action, Ask, DiskFrom, Source};
use crate::plan::{Change, Claim, Effect, JobPlan};

impl Planner<'_> {
    /// To new volumes, and a new instance where the snapshot is of one.
    pub(super) async fn anew(&self, restoring: &Restoring<'_>, name: &str) -> Result<JobPlan> {
        let snapshot = restoring.snapshot;
        let asked = self.ask(snapshot.source.provider()).await?;
        let mut blocked = Vec::new();
        let parts = self.parts(&asked, restoring, &mut blocked).await?;
        asked.needs(&[OperationKind::CreateVolume], &mut blocked);
        let instance = snapshot.source.kind() == ResourceKind::Instance;
        let mut changes = Vec::new();
        let kind = if instance {
            ResourceKind::Instance
        } else {
            ResourceKind::Volume
        };
        check_free(&asked, kind, name, &mut blocked).await?;
        if instance {
            asked.needs(&[OperationKind::CreateInstance], &mut blocked);
            for part in parts.iter().filter(|part| part.boot) {
                let outlook = asked.provider.outlook(&part.snapshot).await?;
                blocked.extend(outlook.launch_blocked_by);
            }
            for part in &parts {
                let volume = volume_name(name, part, instance);
                check_free(&asked, ResourceKind::Volume, &volume, &mut blocked).await?;
            }
            changes.push(Change::Create(format!("instance `{name}`")));
        }
        for part in &parts {
            let volume = volume_name(name, part, instance);
            changes.push(Change::Create(format!(
                "volume `{volume}` ({})",
                size(part.size)
            )));
        }
        let builder = steps(&asked, &parts, name, instance);
        Ok(JobPlan {
            request: restoring.request.clone(),
            made_at: self.now,
            targets: Vec::new(),
            changes,
            omitted: snapshot.omitted.clone(),
            claims: vec![Claim::Keep(snapshot.id)],
            effect: Effect::None,
            steps: build(builder, &blocked)?,
            blocked_by: blocked,
        })
    }
}

fn volume_name(name: &str, part: &Part, instance: bool) -> String {
    if instance {
        format!("{name}-{}", part.disk)
    } else {
        name.to_owned()
    }
}

fn steps(asked: &Asked<'_>, parts: &[Part], name: &str, instance: bool) -> PlanBuilder<Action> {
    let mut plan = Plan::builder();
    let mut ready = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let step = format!("volume/{number}");
        let volume = volume_name(name, part, instance);
        let create = Operation::CreateVolume {
            name: volume.clone(),
            labels: Labels::new(),
            size: part.size,
            from: Some(part.snapshot.clone()),
        };
        let made = asked.makes(step.clone(), Ask::Ready(create), part.size);
        plan = plan.step(
            made.title(format!("make volume `{volume}`"))
                .phase(Phase::Staging),
        );
        if asked.bytes() {
            let validate = format!("validate/{number}");
            let compare = Action::Compare {
                provider: asked.name.to_owned(),
                made: Source::output_of(step.as_str(), 0),
                from: Source::Resource(part.snapshot.clone()),
                digest: part.digest,
                bytes: part.size,
            };
            let compare = Step::new(validate.clone(), compare)
                .title(format!("compare `{volume}` with the snapshot"))
                .phase(Phase::Staging)
                .deadline(MOVING)
                .needs(step)
                .harmless();
            plan = plan.step(compare);
            ready.push(validate);
        } else {
            ready.push(step);
        }
    }
    if !instance {
        return plan;
    }
    let disks = parts.iter().enumerate().map(|(number, part)| DiskFrom {
        name: part.disk.clone(),
        volume: Source::output_of(format!("volume/{number}"), 0),
        boot: part.boot,
    });
    let create = Ask::CreateInstance {
        name: name.to_owned(),
        labels: Labels::new(),
        disks: disks.collect(),
    };
    let create = asked
        .makes("instance", create, 0)
        .title(format!("make instance `{name}`"));
    plan.step(
        ready
            .iter()
            .fold(create.phase(Phase::Applying), |it, step| {
                it.needs(step.as_str())
            }),
    )
}
