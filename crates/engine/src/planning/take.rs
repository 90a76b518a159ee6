use std::time::Duration;

use stillpoint_core::{
    Consistency, ConsistencyRecord, CopyKind, Detail, Disk, Error, ErrorKind, JobId, Memory,
    Omission, OmissionReason, Part, Power, Resource, Result, Snapshot, SnapshotId, SnapshotState,
};
use stillpoint_iaas::{
    DiskOf, FreezeCapability, Operation, OperationKind, SnapshotCapability, TakeSnapshot,
};
use stillpoint_restore::{Phase, Plan, PlanBuilder, Step};

use super::taking::{Taking, takes_volumes, takings};
use super::{Asked, MOVING, Planner, bound, build, size};
use crate::action::{Action, Ask, Source};
use crate::plan::{Change, Claim, Effect, JobPlan};
use crate::request::{Request, Scope, Take};

/// How long an instance may be held frozen.
const FREEZE: Duration = Duration::from_secs(60);

/// What an omission calls the memory of an instance that runs.
const MEMORY: &str = "memory";

/// The disks of a source: those to be taken, and what is left out.
struct Selection {
    disks: Vec<Disk>,
    /// Whether these are all the volumes that there are.
    whole: bool,
    omitted: Vec<Omission>,
}

/// How the point in time will be fixed.
struct Manner {
    quiesce: bool,
    power_off: Option<Duration>,
}

impl Planner<'_> {
    /// The plan that takes a snapshot.
    pub(crate) async fn take(&self, ask: &Take) -> Result<JobPlan> {
        let asked = self.ask(ask.source.provider()).await?;
        let source = asked.provider.describe(&ask.source).await?;
        let mut blocked = Vec::new();
        let selection = select(&source, ask, &mut blocked)?;
        let kind = source.reference.kind();
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
        let manner = manner(&asked, &source, can, ask, &mut blocked);
        let name = ask.name.clone().unwrap_or_else(|| {
            format!("{}-{}", ask.source.id(), self.now.strftime("%Y%m%d-%H%M%S"))
        });
        let disks = (selection.disks.as_slice(), selection.whole);
        let steps = steps(&asked, ask, disks, can, &manner, &name);
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
            pins: std::collections::BTreeSet::new(),
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

fn select(source: &Resource, ask: &Take, blocked: &mut Vec<String>) -> Result<Selection> {
    let mut omitted = Vec::new();
    let mut omit = |what: String, reason| omitted.push(Omission { what, reason });
    let disks = match &source.detail {
        Detail::Instance { disks, power } => {
            for name in ask.disks.iter().flatten() {
                if !disks.iter().any(|disk| disk.name == *name) {
                    let known: Vec<&str> = disks.iter().map(|disk| &*disk.name).collect();
                    blocked.push(format!(
                        "there is no disk `{name}`, it has {}",
                        known.join(", ")
                    ));
                }
            }
            let chosen = |disk: &Disk| match ask.scope {
                Scope::Image => disk.boot,
                Scope::Volumes => ask
                    .disks
                    .as_ref()
                    .is_none_or(|names| names.contains(&disk.name)),
            };
            let mut taken = Vec::new();
            for disk in disks {
                if disk.volume.is_none() {
                    omit(format!("disk `{}`", disk.name), OmissionReason::Ephemeral);
                } else if chosen(disk) {
                    taken.push(disk.clone());
                } else {
                    omit(format!("disk `{}`", disk.name), OmissionReason::NotSelected);
                }
            }
            if *power == Power::On && ask.memory == Memory::No {
                omit(MEMORY.into(), OmissionReason::NotSelected);
            }
            taken
        }
        Detail::Volume { size, .. } => vec![Disk {
            name: source.reference.id().to_owned(),
            volume: Some(source.reference.clone()),
            size: *size,
            boot: ask.scope == Scope::Image,
        }],
        _ => {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "a snapshot is taken of an instance or a volume, not of a {}",
                    source.reference.kind()
                ),
            )
            .on(source.reference.clone()));
        }
    };
    if disks.is_empty() {
        blocked.push("no disk is left that could be taken".into());
    }
    let whole = !omitted
        .iter()
        .any(|it| it.reason == OmissionReason::NotSelected && it.what != MEMORY);
    Ok(Selection {
        disks,
        whole,
        omitted,
    })
}

fn holds(can: Memory, wanted: Memory) -> bool {
    wanted == Memory::No || can == wanted
}

/// Decides between freezing, powering off and neither; notes where the minimum is out of reach.
fn manner(
    asked: &Asked<'_>,
    source: &Resource,
    can: &SnapshotCapability,
    ask: &Take,
    blocked: &mut Vec<String>,
) -> Manner {
    let power = match &source.detail {
        Detail::Instance { power, .. } => *power,
        _ => Power::Unknown,
    };
    let offline = can.offline.then_some(Consistency::Filesystem);
    let wanted = ask.prefer.max(ask.at_least);
    let mut manner = Manner {
        quiesce: false,
        power_off: None,
    };
    let reachable = match power {
        Power::Off => offline,
        Power::On => can.live,
        // Nobody knows: the provider finds out when it takes it, and refuses what it can't reach.
        _ => offline.max(can.live),
    };
    let short = reachable.is_none_or(|level| level < wanted);
    let can_power = asked.can.can(OperationKind::PowerOff) && asked.can.can(OperationKind::PowerOn);
    let reachable = match ask.may_power_off {
        Some(budget) if power == Power::On && short && offline.is_some() && can_power => {
            manner.power_off = Some(budget);
            offline
        }
        _ => reachable,
    };
    manner.quiesce = manner.power_off.is_none()
        && power != Power::Off
        && wanted >= Consistency::Filesystem
        && can.live >= Some(Consistency::Filesystem);
    match reachable {
        Some(level) if level >= ask.at_least => {}
        Some(level) => blocked.push(format!(
            "{} asked, {level} reachable; ask at_least({level}) or let it be powered off",
            ask.at_least
        )),
        None if power == Power::On => {
            blocked
                .push("it runs, and can be taken only while it is off; ask may_power_off".into());
        }
        None => blocked.push("it is off, and can be taken only while it runs".into()),
    }
    manner
}

type Steps = (PlanBuilder<Action>, Vec<String>, Option<String>);

/// The steps, the names of those that bring the parts about, and of the one that proves them.
fn steps(
    asked: &Asked<'_>,
    ask: &Take,
    (disks, whole): (&[Disk], bool),
    can: &SnapshotCapability,
    manner: &Manner,
    name: &str,
) -> Option<Steps> {
    if disks.is_empty() {
        return None;
    }
    let takings = takings(asked, "snapshot", &ask.source, whole, disks, |disk| {
        disk.volume.as_ref()
    });
    let lowered = takings.len() > 1;
    let freeze = lowered && manner.quiesce && asked.can.freeze == FreezeCapability::SelfThawing;
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
            group: !lowered,
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
