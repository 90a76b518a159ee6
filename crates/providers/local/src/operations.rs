//! From an operation to what carries it out, and back from a key to what became of it.

use std::sync::Arc;

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, Operation, OperationKey, Output, Ticket};

use crate::commit::Commit;
use crate::create::{self, Make};
use crate::delete;
use crate::entity::{ImageRecord, SnapshotRecord};
use crate::folder::Area;
use crate::instance;
use crate::jobs::Job;
use crate::labels;
use crate::local::Local;
use crate::record::Record;
use crate::source::require_unwritten;
use crate::take::{self, Take};

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
    local.folder.load::<Commit>(key.as_str())?;
    if let Observation::Done { .. } = from_folder(local, key, operation)? {
        return Ok(Started::Over);
    }
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
                Make::image(local, key, name, labels, from)?,
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
            let volume = Make::volume(local, key, name, labels, *size, from.as_ref())?;
            return make(local, key, job, volume);
        }
        Operation::DeleteImage { image } => remove(local, image, ResourceKind::Image)?,
        Operation::DeleteInstance { instance } => instance::delete(local, instance)?,
        Operation::DeleteSnapshot { snapshot } => remove(local, snapshot, ResourceKind::Snapshot)?,
        Operation::DeleteVolume { volume } => remove(local, volume, ResourceKind::Volume)?,
        Operation::Detach { instance, volume } => instance::detach(local, instance, volume)?,
        Operation::Revert { volume, to } => {
            return make(local, key, job, Make::revert(local, key, volume, to)?);
        }
        Operation::SetLabels { resource, labels } => labels::set(local, resource, labels)?,
        Operation::Snapshot(take) => {
            let take = Take::prepare(local, key, take)?;
            job.expect(take.total());
            let (on, job) = (Arc::clone(local), Arc::clone(job));
            local.jobs.run(key, move || take.run(&on, &job))?;
            return Ok(Started::Runs);
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

fn make(local: &Arc<Local>, key: &OperationKey, job: &Arc<Job>, make: Make) -> Result<Started> {
    job.expect(make.total());
    let (on, job) = (Arc::clone(local), Arc::clone(job));
    local.jobs.run(key, move || make.run(&on, &job))?;
    Ok(Started::Runs)
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
        instance::require_detached(local, resource)?;
        require_unwritten(&stat, resource)?;
    }
    delete::delete(&local.folder, kind, id)
}

/// What became of it: by what runs here, else by the folder alone.
pub(crate) fn observe(
    local: &Local,
    key: &OperationKey,
    operation: &Operation,
) -> Result<Observation> {
    if let Some(known) = local.jobs.observe(key) {
        return Ok(known);
    }
    let told = match local.folder.load::<Commit>(key.as_str()) {
        Ok(None) => from_folder(local, key, operation),
        Ok(Some(_)) => Err(Error::new(
            ErrorKind::NeedsIntervention,
            "it was decided and could not be finished when the folder was opened",
        )),
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
            return create::observe(local, key, ResourceKind::Image, name);
        }
        Operation::CreateInstance { name, .. } => return instance::observe(local, key, name),
        Operation::CreateVolume { name, .. } => {
            return create::observe(local, key, ResourceKind::Volume, name);
        }
        Operation::DeleteImage { image } => is_gone::<ImageRecord>(local, image)?,
        Operation::DeleteInstance { instance } => {
            is_gone::<crate::entity::InstanceRecord>(local, instance)?
        }
        Operation::DeleteSnapshot { snapshot } => is_gone::<SnapshotRecord>(local, snapshot)?,
        Operation::DeleteVolume { volume } => {
            let id = local.id(volume, ResourceKind::Volume)?;
            local.folder.stat(Area::Top, id)?.is_none()
        }
        Operation::Detach { instance, volume } => {
            !instance::has(local, instance, volume)?.unwrap_or(false)
        }
        Operation::Revert { volume, .. } => return create::observe_revert(local, key, volume),
        Operation::Snapshot(take) => return take::observe(local, key, take),
        Operation::SetLabels { resource, labels } => {
            drop(records);
            labels::are_set(local, resource, labels)?
        }
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
