use std::time::Duration;

use stillpoint_core::{
    Consistency, ConsistencyRecord, CopyKind, Disk, Error, ErrorKind, JobId, Part, ResourceKind,
    Result, Snapshot, SnapshotId, SnapshotState,
};
use stillpoint_iaas::{DiskOf, FreezeCapability, Operation, SnapshotCapability, TakeSnapshot};
use stillpoint_restore::{Group, Phase, Plan, PlanBuilder, Step};

use super::manner::{Extent, Manner, holds, manner};
use super::selection::{Selection, select};
use super::taking::{Taking, takes_volumes, takings};
use super::{Asked, MOVING, Planner, bound, build, size};
use crate::action::{Action, Ask, Source};
use crate::plan::{Change, Claim, Effect, JobPlan};
use crate::request::{Request, Scope, Take};

/// How long an instance may be held frozen.
const FREEZE: Duration = Duration::from_secs(60);

impl Planner<'_> {
    /// The plan that takes a snapshot.
    pub(crate) async fn take(&self, ask: &Take) -> Result<JobPlan> {
        let mut asked = self.ask(ask.source.provider()).await?;
        let source = asked.provider.describe(&ask.source).await?;
        let outlook = asked.provider.outlook(&ask.source).await?;
        let mut blocked = Vec::new();
        let mut selection = select(&source, ask, &mut blocked)?;
        let kind = source.reference.kind();
        if let Some(can) = outlook.can {
            asked.can.snapshots.insert(kind, can);
        }
        let Some(can) = asked.can.snapshots.get(&kind) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("provider {} takes no snapshots of a {kind}", asked.name),
            )
            .on(ask.source.clone()));
        };
        if ask.disks.is_some() && !can.disk_selection && !takes_volumes(&asked) {
            blocked.push(format!("provider {} cannot leave disks out", asked.name));
        }
        if !holds(can.memory, ask.memory) {
            blocked.push(format!(
                "{:?} memory asked, {:?} is what can be held",
                ask.memory, can.memory
            ));
        }
        let extent = extent(&asked, ask, &selection);
        let short_of = outlook.short_of.as_deref();
        let manner = manner(&asked, &source, (can, short_of), extent, ask, &mut blocked);
        let can_still = extent.can_still(can);
        selection.omitted.extend(manner.omission(can_still));
        selection.omitted.extend(outlook.omitted);
        if let Some(left) = outlook.snapshots_left
            && left < extent.volumes as u64
        {
            blocked.push(format!(
                "{} snapshots are needed and the quota of {} leaves {left}; delete some, or have it raised",
                extent.volumes, asked.name
            ));
        }
        let name = ask.name.clone().unwrap_or_else(|| {
            format!("{}-{}", ask.source.id(), self.now.strftime("%Y%m%d-%H%M%S"))
        });
        let disks = (selection.disks.as_slice(), selection.whole);
        let steps = steps(&asked, ask, disks, can, (extent, &manner), &name);
        let mut changes: Vec<Change> = match ask.scope {
            Scope::Image => vec![Change::Create(format!("image `{name}`"))],
            Scope::Volumes => selection
                .disks
                .iter()
                .map(|disk| {
                    Change::Create(format!("snapshot of `{}` ({})", disk.name, size(disk.size)))
                })
                .collect(),
        };
        if manner.power_off.is_some() {
            changes.push(Change::PowerOff(source.reference.to_string()));
        }
        let mut claims = vec![Claim::Read(source.reference.clone())];
        for disk in &selection.disks {
            let volume = disk
                .volume
                .clone()
                .filter(|volume| *volume != source.reference);
            claims.extend(volume.map(Claim::Read));
        }
        let entry = self.entry(ask, name, &selection);
        let steps = match steps {
            Some((builder, taking, proof)) => Some((build(builder, &blocked)?, taking, proof)),
            None => None,
        };
        let (plan, taking, proof) = steps.unwrap_or_default();
        Ok(JobPlan {
            request: Request::Take(ask.clone()),
            made_at: self.now,
            targets: vec![bound(&source)],
            blocked_by: blocked,
            changes,
            omitted: selection.omitted,
            claims,
            effect: Effect::Take {
                entry: Box::new(entry),
                instant: manner.instant,
                steps: taking,
                proof,
            },
            steps: plan,
        })
    }

    fn entry(&self, ask: &Take, name: String, selection: &Selection) -> Snapshot {
        Snapshot {
            id: SnapshotId::new(self.now, [0; 10]),
            source: ask.source.clone(),
            name,
            description: ask.description.clone(),
            labels: ask.labels.clone(),
            state: SnapshotState::Creating,
            parts: selection.disks.iter().filter_map(part).collect(),
            omitted: selection.omitted.clone(),
            consistency: ConsistencyRecord {
                preferred: ask.prefer,
                demanded: ask.at_least,
                reached: None,
                capture: None,
            },
            memory: ask.memory,
            created_at: self.now,
            taken_at: None,
            verified: None,
            exports: Vec::new(),
            pins: std::collections::BTreeSet::new(),
            schedule: ask.schedule.clone(),
            expires_at: None,
            job: JobId::new(self.now, [0; 10]),
        }
    }
}

/// A part as it is before the provider has named its snapshot: the volume stands for it.
fn part(disk: &Disk) -> Option<Part> {
    let volume = disk.volume.clone()?;
    Some(Part {
        disk: disk.name.clone(),
        snapshot: volume.clone(),
        volume,
        size: disk.size,
        boot: disk.boot,
        copy: CopyKind::Shallow,
        digest: None,
    })
}

/// How many volumes are taken, by how many operations.
fn extent(asked: &Asked<'_>, ask: &Take, selection: &Selection) -> Extent {
    let disks = &selection.disks;
    let takings = takings(asked, "", &ask.source, selection.whole, disks, |disk| {
        disk.volume.as_ref()
    });
    let each = takings
        .first()
        .map_or(ask.source.kind(), |it| it.source.kind());
    let live = asked.can.snapshots.get(&each).and_then(|can| can.live);
    let apart = takings.len() > 1 || live < Some(Consistency::Filesystem);
    let can_freeze = asked.can.freeze == FreezeCapability::SelfThawing;
    Extent {
        volumes: disks.len(),
        operations: takings.len(),
        live,
        bracket: apart && can_freeze && ask.source.kind() == ResourceKind::Instance,
    }
}

type Steps = (PlanBuilder<Action>, Vec<String>, Option<String>);

/// The steps, the names of those that bring the parts about, and of the one that proves them.
fn steps(
    asked: &Asked<'_>,
    ask: &Take,
    (disks, whole): (&[Disk], bool),
    can: &SnapshotCapability,
    (extent, manner): (Extent, &Manner),
    name: &str,
) -> Option<Steps> {
    if disks.is_empty() {
        return None;
    }
    let takings = takings(asked, "snapshot", &ask.source, whole, disks, |disk| {
        disk.volume.as_ref()
    });
    let lowered = takings.len() > 1;
    let freeze = manner.quiesce && extent.bracket;
    let mut plan = Plan::builder();
    let mut taking = Vec::new();
    let bytes = |disks: &[Disk]| disks.iter().map(|disk| disk.size).sum::<u64>();
    for Taking {
        step,
        source,
        parts,
    } in takings
    {
        let operation = Operation::Snapshot(TakeSnapshot {
            source,
            parts: parts.iter().filter_map(disk_of).collect(),
            name: name.to_owned(),
            labels: ask.labels.clone(),
            group: !lowered && !manner.apart,
            quiesce: (manner.quiesce && !freeze).then_some(FREEZE),
            memory: ask.memory,
            copy: can.copy,
        });
        let title = operation.to_string();
        let makes = asked.makes(step.clone(), Ask::Ready(operation), bytes(parts));
        plan = plan.step(makes.title(title).phase(Phase::Applying));
        taking.push(step);
    }
    let mut brackets = Vec::new();
    if freeze && lowered {
        // What is frozen again goes on meanwhile: one instant has only what one freeze covered.
        plan = plan.group(Group::new("instant", taking.clone()));
    }
    if freeze {
        let instance = ask.source.clone();
        let acquire = Operation::Freeze {
            instance: instance.clone(),
            at_most: FREEZE,
        };
        let frozen = asked
            .bracket("freeze", acquire, Operation::Thaw { instance })
            .briefly();
        brackets.push(frozen.title(format!("{} is frozen", ask.source)));
    }
    if let Some(budget) = manner.power_off {
        brackets.push(asked.power(&ask.source, budget));
    }
    let held: Vec<String> = brackets
        .iter()
        .map(|bracket| bracket.name.to_string())
        .collect();
    for bracket in brackets {
        plan = plan.bracket(
            taking
                .iter()
                .fold(bracket, |it, step| it.covers(step.as_str())),
        );
    }
    let mut proof = None;
    if ask.verify && asked.bytes() {
        let provider = asked.name.to_owned();
        let action = Action::Verify {
            provider,
            steps: taking.clone(),
            bytes: 2 * bytes(disks),
        };
        let verify = Step::new("verify", action)
            .title("read it back")
            .phase(Phase::Validating)
            .deadline(MOVING)
            .harmless();
        let verify = taking
            .iter()
            .fold(verify, |it, step| it.needs(step.as_str()));
        plan = plan.step(
            held.iter()
                .fold(verify, |it, bracket| it.after(bracket.as_str())),
        );
        proof = Some("verify".to_owned());
    }
    if ask.scope == Scope::Image {
        plan = image_steps(asked, ask, plan, proof.as_deref(), name, bytes(disks));
        taking = vec!["image".into()];
    }
    Some((plan, taking, proof))
}

/// The image is made from a snapshot that goes again; what was proven of that is proven of it.
fn image_steps(
    asked: &Asked<'_>,
    ask: &Take,
    mut plan: PlanBuilder<Action>,
    proof: Option<&str>,
    name: &str,
    bytes: u64,
) -> PlanBuilder<Action> {
    let provider = asked.name.to_owned();
    let from = Source::output_of("snapshot/0", 0);
    let create = Ask::CreateImage {
        name: name.to_owned(),
        labels: ask.labels.clone(),
        from: from.clone(),
    };
    let image = asked
        .makes("image", create, bytes)
        .title(format!("make image `{name}`"));
    let image = image.phase(Phase::Validating).needs("snapshot/0");
    plan = plan.step(proof.into_iter().fold(image, Step::needs));
    let mut last = "image";
    if proof.is_some() {
        let made = Source::output_of("image", 0);
        let bytes = 2 * bytes;
        let action = Action::Compare {
            provider: provider.clone(),
            made,
            from,
            digest: None,
            bytes,
        };
        let compare = Step::new("compare", action).title("compare the image with the disk");
        plan = plan.step(
            compare
                .phase(Phase::Validating)
                .deadline(MOVING)
                .needs(last)
                .harmless(),
        );
        last = "compare";
    }
    let tidy = Action::Discard {
        provider,
        step: "snapshot/0".into(),
    };
    let tidy = Step::new("tidy", tidy).title("delete the snapshot the image was made from");
    plan.step(
        tidy.phase(Phase::CuttingOver)
            .deadline(MOVING)
            .needs(last)
            .pivot(),
    )
}

fn disk_of(disk: &Disk) -> Option<DiskOf> {
    Some(DiskOf {
        disk: disk.name.clone(),
        volume: disk.volume.clone()?,
    })
}
