use stillpoint_core::{Error, ErrorKind, Memory, ResourceKind, ResourceRef, Result};

use super::job::Job;
use super::personality::Personality;
use super::refusal::refusal;
use super::thing::{Body, State, Thing};
use super::world::World;
use crate::capabilities::Identity;
use crate::operation::{Operation, TakeSnapshot};
use crate::outlook::Reverts;

/// What an operation that may be carried out needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Readiness {
    /// The world is already as asked, or on its way there.
    AlreadySo,
    Start,
}

impl World {
    /// Whether the system would take the operation now. Changes nothing.
    pub(super) fn check(&self, operation: &Operation) -> Result<Readiness> {
        if !self.capabilities.can(operation.kind()) {
            return Err(self.unsupported(format!("it cannot {operation}")));
        }
        if self.is_so(operation)? {
            return Ok(Readiness::AlreadySo);
        }
        match operation {
            Operation::Attach {
                instance,
                volume,
                disk,
            } => self.check_attach(instance, volume, disk)?,
            Operation::CreateImage { from, .. } => self.check_kind(from, ResourceKind::Snapshot)?,
            Operation::CreateInstance { disks, .. } => {
                for disk in disks {
                    self.check_free(&disk.volume)?;
                }
            }
            Operation::CreateVolume { size, from, .. } => self.check_new(*size, from.as_ref())?,
            Operation::DeleteVolume { volume } => self.check_deletable(volume)?,
            Operation::Detach { instance, volume } => {
                self.check_kind(instance, ResourceKind::Instance)?;
                self.thing(volume)?;
            }
            Operation::Freeze { instance, .. } => self.check_agent(instance)?,
            Operation::PowerOff { instance }
            | Operation::PowerOn { instance }
            | Operation::Thaw { instance } => self.check_kind(instance, ResourceKind::Instance)?,
            Operation::Revert { volume, to } => self.check_revert(volume, to)?,
            Operation::SetLabels { resource, .. } => {
                self.usable(resource)?;
            }
            Operation::Snapshot(take) => self.check_snapshot(take)?,
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone } => self.check_made(gone)?,
        }
        self.check_busy(operation)?;
        Ok(Readiness::Start)
    }

    /// Whether the effect is there already, for operations that make nothing new.
    pub(super) fn is_so(&self, operation: &Operation) -> Result<bool> {
        let instance = |reference| -> Result<_> {
            let thing = self.thing(reference)?;
            thing
                .instance()
                .ok_or_else(|| self.refuse(ErrorKind::Invalid, reference, "it is not an instance"))
        };
        Ok(match operation {
            Operation::Attach {
                instance: on,
                volume,
                disk,
            } => instance(on)?
                .disks
                .iter()
                .any(|slot| slot.volume.as_ref() == Some(volume) && slot.name == *disk),
            Operation::DeleteImage { image: gone }
            | Operation::DeleteInstance { instance: gone }
            | Operation::DeleteSnapshot { snapshot: gone }
            | Operation::DeleteVolume { volume: gone } => match self.thing(gone) {
                Ok(thing) => thing.state == State::Deleting,
                Err(error) if error.kind() == ErrorKind::NotFound => true,
                Err(error) => return Err(error),
            },
            Operation::Detach {
                instance: from,
                volume,
            } => !instance(from)?
                .disks
                .iter()
                .any(|slot| slot.volume.as_ref() == Some(volume)),
            Operation::PowerOff { instance: on } => !instance(on)?.on,
            Operation::PowerOn { instance: on } => instance(on)?.on,
            Operation::SetLabels { resource, labels } => {
                let has = &self.thing(resource)?.labels;
                labels
                    .iter()
                    .all(|(key, value)| has.get(key) == Some(value))
            }
            Operation::Thaw { instance: on } => instance(on)?.frozen.is_none(),
            _ => false,
        })
    }

    pub(super) fn unsupported(&self, what: impl AsRef<str>) -> Error {
        refusal(self.personality, ErrorKind::Unsupported, None, what)
            .advise("Ask its capabilities before a plan is made")
    }

    fn check_kind(&self, reference: &ResourceRef, kind: ResourceKind) -> Result<()> {
        self.usable(reference)?;
        if reference.kind() == kind {
            return Ok(());
        }
        Err(self.refuse(ErrorKind::Invalid, reference, format!("it is not a {kind}")))
    }

    fn check_free(&self, volume: &ResourceRef) -> Result<()> {
        self.check_kind(volume, ResourceKind::Volume)?;
        match self.attached_to(volume).first() {
            None => Ok(()),
            Some(other) => Err(self.refuse(
                ErrorKind::Conflict,
                volume,
                format!("it is attached to {other}"),
            )),
        }
    }

    fn check_attach(&self, instance: &ResourceRef, volume: &ResourceRef, disk: &str) -> Result<()> {
        self.check_free(volume)?;
        self.check_kind(instance, ResourceKind::Instance)?;
        let taken = self
            .thing(instance)?
            .instance()
            .is_some_and(|instance| instance.disks.iter().any(|slot| slot.name == disk));
        if taken {
            let what = format!("it has a disk `{disk}` already");
            return Err(self.refuse(ErrorKind::Conflict, instance, what));
        }
        Ok(())
    }

    fn check_new(&self, size: u64, from: Option<&ResourceRef>) -> Result<()> {
        let Some(from) = from else { return Ok(()) };
        if self.personality == Personality::Process {
            return Err(self.unsupported("create_disk takes no snapshot, in any version"));
        }
        if from.kind() != ResourceKind::Image {
            self.check_kind(from, ResourceKind::Snapshot)?;
        }
        let least = self.size_of(from);
        if size < least {
            let what = format!("a volume of {size} bytes cannot hold its {least}");
            return Err(self.refuse(ErrorKind::Invalid, from, what));
        }
        Ok(())
    }

    /// What is still being made is cancelled, not deleted.
    fn check_made(&self, gone: &ResourceRef) -> Result<()> {
        if self.thing(gone)?.state == State::Creating {
            return Err(self.refuse(ErrorKind::Busy, gone, "it is still being made"));
        }
        Ok(())
    }

    fn check_deletable(&self, volume: &ResourceRef) -> Result<()> {
        self.check_made(volume)?;
        if let Some(instance) = self.attached_to(volume).first() {
            let what = format!("it is attached to {instance}");
            return Err(self
                .refuse(ErrorKind::Precondition, volume, what)
                .advise("Detach it before"));
        }
        let snapshot = self
            .things
            .iter()
            .find(|(_, thing)| matches!(&thing.body, Body::Snapshot(taken) if taken.of == *volume));
        match snapshot {
            Some((snapshot, _)) if self.personality.snapshots_hold_volume() => Err(self
                .refuse(
                    ErrorKind::Precondition,
                    volume,
                    format!("it has snapshots, such as {snapshot}"),
                )
                .advise("Delete them before")),
            _ => Ok(()),
        }
    }

    fn check_agent(&self, instance: &ResourceRef) -> Result<()> {
        self.check_kind(instance, ResourceKind::Instance)?;
        let runs = self.thing(instance)?.instance().map(|on| (on.on, on.agent));
        match runs {
            Some((true, true)) => Ok(()),
            Some((false, _)) => Err(self.refuse(
                ErrorKind::Precondition,
                instance,
                "it does not run, so there is nothing to freeze",
            )),
            _ => Err(self
                .refuse(ErrorKind::Precondition, instance, "no guest agent answers")
                .advise("Install the guest agent, or ask for Crash")),
        }
    }

    fn check_revert(&self, volume: &ResourceRef, to: &ResourceRef) -> Result<()> {
        self.check_kind(volume, ResourceKind::Volume)?;
        self.check_kind(to, ResourceKind::Snapshot)?;
        if !matches!(&self.thing(to)?.body, Body::Snapshot(taken) if taken.of == *volume) {
            let what = format!("{to} is not a snapshot of it");
            return Err(self.refuse(ErrorKind::Invalid, volume, what));
        }
        if self.reverts == Reverts::ToLatest {
            self.check_latest(volume, to)?;
        }
        match self.attached_to(volume).iter().find(|on| self.writes(on)) {
            None => Ok(()),
            Some(instance) => Err(self
                .refuse(
                    ErrorKind::Precondition,
                    volume,
                    format!("{instance} runs and has it open"),
                )
                .advise("Power it off before")),
        }
    }

    fn check_latest(&self, volume: &ResourceRef, to: &ResourceRef) -> Result<()> {
        if let Some(instance) = self.attached_to(volume).first() {
            let what = format!("{instance} has it attached");
            return Err(self
                .refuse(ErrorKind::Precondition, volume, what)
                .advise("Detach it before"));
        }
        let at = self.thing(to)?.created_at;
        let later = self.things.iter().find(|(_, thing)| {
            matches!(&thing.body, Body::Snapshot(taken) if taken.of == *volume)
                && thing.created_at > at
        });
        match later {
            Some((later, _)) => Err(self
                .refuse(
                    ErrorKind::Precondition,
                    volume,
                    format!("{to} is not its latest snapshot, that is {later}"),
                )
                .advise("Delete that before")),
            None => Ok(()),
        }
    }

    /// Whether an instance may be writing to its disks.
    pub(super) fn writes(&self, instance: &ResourceRef) -> bool {
        self.things
            .get(instance)
            .and_then(Thing::instance)
            .is_some_and(|instance| match self.personality {
                // Files know who has them open, not what that belongs to.
                Personality::Files => instance.on && instance.writer.is_some(),
                _ => instance.on,
            })
    }

    fn check_snapshot(&self, take: &TakeSnapshot) -> Result<()> {
        let kind = take.source.kind();
        let Some(can) = self.capabilities.snapshots.get(&kind).copied() else {
            return Err(self.unsupported(format!("it takes no snapshots of an {kind}")));
        };
        if take.parts.is_empty() {
            return Err(self.refuse(ErrorKind::Invalid, &take.source, "no volume is asked for"));
        }
        if take.memory != Memory::No {
            return Err(self.unsupported("it holds no memory"));
        }
        if take.quiesce.is_some() && !can.composite {
            return Err(self.unsupported("it does not freeze inside a snapshot"));
        }
        self.usable(&take.source)?;
        for part in &take.parts {
            self.check_kind(&part.volume, ResourceKind::Volume)?;
        }
        if take.parts.len() > 1 && !can.composite {
            return Err(self.unsupported("it takes one volume a call"));
        }
        if kind == ResourceKind::Instance {
            self.check_selection(take, can.composite && !can.disk_selection)?;
        }
        let runs = kind == ResourceKind::Instance && self.writes(&take.source);
        if take.quiesce.is_some() && runs {
            self.check_agent(&take.source)?;
        }
        if take.group && take.parts.len() > 1 && !can.atomic_group && runs && take.quiesce.is_none()
        {
            return Err(self
                .unsupported("volumes of a running instance are taken one after another")
                .on(take.source.clone()));
        }
        if self.personality == Personality::Files {
            self.check_not_written(take)?;
        }
        self.check_quota(take)
    }

    fn check_selection(&self, take: &TakeSnapshot, all_or_nothing: bool) -> Result<()> {
        let Some(instance) = self.thing(&take.source)?.instance() else {
            return Ok(());
        };
        let has = |volume| {
            instance
                .disks
                .iter()
                .any(|slot| slot.volume.as_ref() == Some(volume))
        };
        if let Some(stranger) = take.parts.iter().find(|part| !has(&part.volume)) {
            let what = format!("{} is none of its disks", stranger.volume);
            return Err(self.refuse(ErrorKind::Precondition, &take.source, what));
        }
        let all = instance.disks.iter().filter(|slot| slot.volume.is_some());
        if all_or_nothing && all.count() != take.parts.len() {
            return Err(self.unsupported("it takes all volumes of an instance, or none"));
        }
        Ok(())
    }

    fn check_not_written(&self, take: &TakeSnapshot) -> Result<()> {
        for part in &take.parts {
            for instance in self.attached_to(&part.volume) {
                let thawed = self
                    .thing(&instance)?
                    .instance()
                    .is_some_and(|on| on.frozen.is_none());
                if thawed && self.writes(&instance) {
                    return Err(self
                        .refuse(
                            ErrorKind::Precondition,
                            &part.volume,
                            "something writes to it",
                        )
                        .advise("Freeze it before, or stop what writes"));
                }
            }
        }
        Ok(())
    }

    /// How many snapshots its quota leaves, where it tells.
    pub(super) fn snapshots_left(&self) -> Option<u64> {
        // A system without a list has nobody who counts.
        let tells = self.capabilities.identity != Identity::TicketOnly;
        let quota = self.snapshot_quota.filter(|_| tells)?;
        Some(quota.saturating_sub(self.snapshots()) as u64)
    }

    fn snapshots(&self) -> usize {
        let all = self.things.keys();
        all.filter(|it| it.kind() == ResourceKind::Snapshot).count()
    }

    fn check_quota(&self, take: &TakeSnapshot) -> Result<()> {
        let there = self.snapshots();
        match self.snapshot_quota {
            Some(quota) if there + take.parts.len() > quota => Err(self
                .refuse(
                    ErrorKind::Quota,
                    &take.source,
                    format!(
                        "{} snapshots asked, {there} of {quota} in use",
                        take.parts.len()
                    ),
                )
                .advise("Delete snapshots, or have the quota raised")),
            _ => Ok(()),
        }
    }

    fn check_busy(&self, operation: &Operation) -> Result<()> {
        let (holds, uses) = (Job::holds(operation), Job::uses(operation));
        for job in self.jobs.values() {
            let (held, used) = (Job::holds(&job.operation), Job::uses(&job.operation));
            let clash = holds
                .iter()
                .find(|one| held.contains(one) || used.contains(one))
                .or_else(|| uses.iter().find(|one| held.contains(one)));
            if let Some(clash) = clash {
                let what = format!("it is busy: {}", job.operation);
                return Err(self.refuse(ErrorKind::Busy, clash, what));
            }
        }
        Ok(())
    }
}
