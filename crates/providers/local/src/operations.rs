//! From an operation to what carries it out, and back from a key to what became of it.

use std::sync::Arc;
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result, World};
use stillpoint_iaas::{Observation, Operation, OperationKey, Output, Ticket};

use crate::commit::Commit;
use crate::delete;
use crate::entity::{ImageRecord, InstanceRecord, SnapshotRecord};
use crate::folder::Area;
use crate::image;
use crate::instance;
use crate::jobs::{Job, PATIENCE};
use crate::labels;
use crate::local::Local;
use crate::make::Make;
use crate::record::Record;
use crate::recovery;
use crate::source::require_unwritten;
use crate::take::{self, Take};
use crate::volume;

/// Starts it, or carries it out where that takes no time. Under a key whose operation runs or is
/// done, it is that one.
pub(crate) fn submit(
    local: &Arc<Local>,
    key: &OperationKey,
    operation: &Operation,
) -> Result<Ticket> {
    let ticket = Ticket::new(key.as_str());
    let Some(job) = local.jobs.enter(key, operation)? else {
        return Ok(ticket);
    };
    match start(local, key, operation, &job) {
        Ok(Started::Runs) => {}
        Ok(Started::Over) => local.jobs.forget(key),
        Err(error) => {
            local.jobs.forget(key);
            return Err(error);
        }
    }
    Ok(ticket)
}

enum Started {
    Over,
    Runs,
}

fn start(
    local: &Arc<Local>,
    key: &OperationKey,
    operation: &Operation,
    job: &Arc<Job>,
) -> Result<Started> {
    {
        // Left where publishing failed with the disk; perhaps it is well again.
        let _records = local.records();
        recovery::settle(&local.folder, key)?;
    }
    if let Observation::Done { .. } = from_folder(local, key, operation)? {
        return Ok(Started::Over);
    }
    end_sessions(local, operation);
    match operation {
        Operation::Attach {
            instance,
            volume,
            disk,
        } => instance::attach(local, instance, volume, disk)?,
        Operation::CreateImage { name, labels, from } => {
            return make(
                local,
                key,
                job,
                image::create(local, key, name, labels, from)?,
            );
        }
        Operation::CreateInstance {
            name,
            labels,
            disks,
        } => instance::create(local, key, name, labels, disks)?,
        Operation::CreateVolume {
            name,
            labels,
            size,
            from,
        } => {
            let made = volume::create(local, key, name, labels, *size, from.as_ref())?;
            return make(local, key, job, made);
        }
        Operation::DeleteImage { image } => remove(local, image, ResourceKind::Image)?,
        Operation::DeleteInstance { instance } => instance::delete(local, instance)?,
        Operation::DeleteSnapshot { snapshot } => remove(local, snapshot, ResourceKind::Snapshot)?,
        Operation::DeleteVolume { volume } => remove(local, volume, ResourceKind::Volume)?,
        Operation::Detach { instance, volume } => instance::detach(local, instance, volume)?,
        Operation::Freeze { instance, at_most } => freeze(local, key, instance, *at_most)?,
        Operation::Revert { volume, to } => {
            return make(local, key, job, volume::revert(local, key, volume, to)?);
        }
        Operation::SetLabels { resource, labels } => labels::set(local, resource, labels)?,
        Operation::Snapshot(take) => {
            let take = Take::prepare(local, key, take)?;
            job.expect(take.total());
            let (on, job) = (Arc::clone(local), Arc::clone(job));
            local.jobs.run(key, move || take.run(&on, &job))?;
            return Ok(Started::Runs);
        }
        Operation::Thaw { instance } => {
            local.id(instance, ResourceKind::Instance)?;
            local.freezes.thaw_as(key, instance)?;
        }
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("files cannot do this: {other}"),
            )
            .advise("See the provider's capabilities"));
        }
    }
    Ok(Started::Over)
}

/// Whoever wrote to these volumes through us has had their say.
fn end_sessions(local: &Local, operation: &Operation) {
    match operation {
        Operation::DeleteVolume { volume } | Operation::Revert { volume, .. } => {
            local.sessions.end(volume);
        }
        Operation::SetLabels { resource, .. } => local.sessions.end(resource),
        Operation::Snapshot(take) => {
            for part in &take.parts {
                local.sessions.end(&part.volume);
            }
        }
        _ => {}
    }
}

fn make(local: &Arc<Local>, key: &OperationKey, job: &Arc<Job>, make: Make) -> Result<Started> {
    job.expect(make.total());
    let (on, job) = (Arc::clone(local), Arc::clone(job));
    local.jobs.run(key, move || make.run(&on, &job))?;
    Ok(Started::Runs)
}

fn freeze(
    local: &Local,
    key: &OperationKey,
    instance: &ResourceRef,
    at_most: Duration,
) -> Result<()> {
    local.id(instance, ResourceKind::Instance)?;
    local.describe(instance)?;
    local.freezes.freeze(key, instance, at_most)
}

fn remove(local: &Local, resource: &ResourceRef, kind: ResourceKind) -> Result<()> {
    let id = local.id(resource, kind)?;
    let _claimed = local.claims.claim(&[], &[resource])?;
    let _records = local.records();
    if kind == ResourceKind::Volume
        && let Some(stat) = local.folder.stat(Area::Top, id)?
    {
        crate::folder::require_regular(&stat, &local.folder.path(Area::Top, id))
            .map_err(|error| error.on(resource.clone()))?;
        instance::require_detached(local, resource, None)?;
        require_unwritten(&stat, resource)?;
    }
    delete::delete(&local.folder, kind, id)
}

/// Stops it where it runs, and settles it where it was decided and is not complete.
pub(crate) fn cancel(local: &Local, key: &OperationKey) -> Result<()> {
    if local.jobs.stop(key) {
        return Ok(());
    }
    let _records = local.records();
    recovery::settle(&local.folder, key)
}

/// What became of it: by what runs here, else by the folder alone.
pub(crate) fn observe(
    local: &Local,
    key: &OperationKey,
    operation: &Operation,
) -> Result<Observation> {
    if let Some(known) = local.jobs.observe(key, PATIENCE) {
        return Ok(known);
    }
    let told = match local.folder.load::<Commit>(key.as_str()) {
        Ok(None) => from_folder(local, key, operation),
        Ok(Some(_)) => Err(Error::new(
            ErrorKind::NeedsIntervention,
            "it was decided, and the disk failed before it was complete",
        )
        .advise("Cancel it, submit it again or open the folder again: each completes it")
        .leaving(World::Unknown)),
        Err(error) => Err(error),
    };
    match told {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Corrupt | ErrorKind::NeedsIntervention
            ) =>
        {
            Ok(Observation::Unknown {
                settles_at: None,
                evidence: error.to_string(),
            })
        }
        other => other,
    }
}

fn from_folder(local: &Local, key: &OperationKey, operation: &Operation) -> Result<Observation> {
    let records = local.records();
    let happened = match operation {
        Operation::Attach {
            instance, volume, ..
        } => instance::has(local, instance, volume)?.unwrap_or(false),
        Operation::CreateImage { name, .. } => {
            return image::observe(local, key, name);
        }
        Operation::CreateInstance { name, .. } => return instance::observe(local, key, name),
        Operation::CreateVolume { name, .. } => {
            return volume::observe(local, key, name);
        }
        Operation::DeleteImage { image } => is_gone::<ImageRecord>(local, image)?,
        Operation::DeleteInstance { instance } => is_gone::<InstanceRecord>(local, instance)?,
        Operation::DeleteSnapshot { snapshot } => is_gone::<SnapshotRecord>(local, snapshot)?,
        Operation::DeleteVolume { volume } => {
            let id = local.id(volume, ResourceKind::Volume)?;
            local.folder.stat(Area::Top, id)?.is_none()
        }
        Operation::Detach { instance, volume } => {
            !instance::has(local, instance, volume)?.unwrap_or(false)
        }
        Operation::Revert { volume, .. } => volume::is_reverted(local, key, volume)?,
        Operation::Snapshot(take) => return take::observe(local, key, take),
        Operation::SetLabels { resource, labels } => {
            drop(records);
            labels::are_set(local, resource, labels)?
        }
        Operation::Freeze { instance, .. } => local.freezes.is_held_by(key, instance),
        Operation::Thaw { .. } => local.freezes.has_thawed(key),
        _ => false,
    };
    Ok(if happened {
        Observation::Done {
            output: Output::Nothing,
            twins: Vec::new(),
        }
    } else {
        Observation::Absent
    })
}

fn is_gone<R: Record>(local: &Local, resource: &ResourceRef) -> Result<bool> {
    let id = local.id(resource, resource.kind())?;
    let record = crate::record::file_name(id);
    Ok(local.folder.stat(R::AREA, &record)?.is_none())
}
