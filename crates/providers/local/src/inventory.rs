//! What there is in the folder.

use stillpoint_core::{
    Detail, Disk, Error, ErrorKind, Power, Resource, ResourceKind, ResourceRef, Result,
};
use stillpoint_iaas::Filter;

use crate::entity::{ImageRecord, InstanceRecord, SnapshotRecord, VolumeRecord};
use crate::folder::Area;
use crate::ids::is_file_name;
use crate::local::{Local, size_of};
use crate::stamp::Stamp;

const KINDS: [ResourceKind; 4] = [
    ResourceKind::Image,
    ResourceKind::Instance,
    ResourceKind::Snapshot,
    ResourceKind::Volume,
];

impl Local {
    pub(crate) fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let id = self.id(resource, resource.kind())?;
        let _records = self.records();
        let attachments = match resource.kind() {
            ResourceKind::Volume => self.attachments()?,
            _ => Vec::new(),
        };
        self.read(resource.kind(), id, &attachments)?
            .ok_or_else(|| missing(resource))
    }

    /// All that match, by kind and then by id; last, where records are damaged, one error that
    /// names them all.
    pub(crate) fn list(&self, filter: &Filter) -> Vec<Result<Resource>> {
        let _records = self.records();
        let mut found = Vec::new();
        let mut damage: Option<Error> = None;
        let mut damaged = |error: Error| {
            damage = Some(match damage.take() {
                None => error,
                Some(first) => first.reason(error.message()),
            });
        };
        for kind in KINDS {
            if filter.kind.is_some_and(|wanted| wanted != kind) {
                continue;
            }
            let (ids, attachments) = match self.ids_of(kind) {
                Ok(read) => read,
                Err(error) => {
                    damaged(error);
                    continue;
                }
            };
            for id in ids {
                match self.read(kind, &id, &attachments) {
                    Ok(Some(resource)) if filter.matches(&resource) => found.push(Ok(resource)),
                    Ok(_) => {}
                    Err(error) => damaged(error),
                }
            }
        }
        found.extend(damage.map(Err));
        found
    }

    fn ids_of(&self, kind: ResourceKind) -> Result<(Vec<String>, Vec<Attachment>)> {
        Ok(match kind {
            ResourceKind::Image => (self.folder.ids::<ImageRecord>()?, Vec::new()),
            ResourceKind::Instance => (self.folder.ids::<InstanceRecord>()?, Vec::new()),
            ResourceKind::Snapshot => (self.folder.ids::<SnapshotRecord>()?, Vec::new()),
            _ => {
                let mut names = self.folder.names(Area::Top)?;
                names.retain(|name| is_file_name(name));
                (names, self.attachments()?)
            }
        })
    }

    fn read(
        &self,
        kind: ResourceKind,
        id: &str,
        attachments: &[Attachment],
    ) -> Result<Option<Resource>> {
        let reference = self.reference(kind, id)?;
        let read = match kind {
            ResourceKind::Image => self.image(id),
            ResourceKind::Instance => self.instance(id),
            ResourceKind::Snapshot => self.snapshot(id),
            _ => self.volume(id, attachments),
        };
        read.map_err(|error| error.on(reference))
    }

    fn image(&self, id: &str) -> Result<Option<Resource>> {
        let Some(record) = self.folder.load::<ImageRecord>(id)? else {
            return Ok(None);
        };
        let reference = self.reference(ResourceKind::Image, id)?;
        self.open_data(&reference, record.size)?;
        Ok(Some(Resource {
            fingerprint: format!("{reference} {} {}", record.created_by, record.size),
            reference,
            name: record.name,
            labels: record.labels,
            created_at: Some(record.created_at),
            detail: Detail::Image { size: record.size },
        }))
    }

    fn instance(&self, id: &str) -> Result<Option<Resource>> {
        let Some(record) = self.folder.load::<InstanceRecord>(id)? else {
            return Ok(None);
        };
        let mut disks = Vec::new();
        for disk in record.disks {
            let (volume, size) = match disk.volume {
                None => (None, disk.size),
                Some(volume) => {
                    // One whose file is gone has no bytes; that it is gone shows on the volume.
                    let size = self
                        .folder
                        .stat(Area::Top, &volume)?
                        .as_ref()
                        .map_or(0, size_of);
                    (Some(self.reference(ResourceKind::Volume, &volume)?), size)
                }
            };
            disks.push(Disk {
                name: disk.name,
                volume,
                size,
                boot: disk.boot,
            });
        }
        let reference = self.reference(ResourceKind::Instance, id)?;
        Ok(Some(Resource {
            fingerprint: instance_fingerprint(&reference, record.created_by.as_ref(), &disks),
            reference,
            name: record.name,
            labels: record.labels,
            created_at: Some(record.created_at),
            detail: Detail::Instance {
                power: Power::Unknown,
                disks,
            },
        }))
    }

    fn snapshot(&self, id: &str) -> Result<Option<Resource>> {
        let Some(record) = self.folder.load::<SnapshotRecord>(id)? else {
            return Ok(None);
        };
        let reference = self.reference(ResourceKind::Snapshot, id)?;
        self.open_data(&reference, record.size)?;
        Ok(Some(Resource {
            fingerprint: format!("{reference} {} {}", record.created_by, record.size),
            reference,
            name: record.name,
            labels: record.labels,
            created_at: Some(record.taken_at),
            detail: Detail::Snapshot {
                of: self.reference(ResourceKind::Volume, &record.of)?,
                size: record.size,
            },
        }))
    }

    fn volume(&self, id: &str, attachments: &[Attachment]) -> Result<Option<Resource>> {
        let Some(stat) = self.folder.stat(Area::Top, id)? else {
            return Ok(None);
        };
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(None);
        }
        let record = self.folder.load::<VolumeRecord>(id)?.unwrap_or_default();
        let reference = self.reference(ResourceKind::Volume, id)?;
        let size = size_of(&stat);
        let attached_to: Vec<_> = attachments
            .iter()
            .filter(|attachment| attachment.volume == id)
            .map(|attachment| self.reference(ResourceKind::Instance, &attachment.instance))
            .collect::<Result<_>>()?;
        let mut fingerprint = format!("{reference} {size}");
        for word in record.created_by.iter().map(ToString::to_string) {
            fingerprint.push_str(&format!(" by {word}"));
        }
        for instance in &attached_to {
            fingerprint.push_str(&format!(" on {instance}"));
        }
        Ok(Some(Resource {
            reference,
            name: record.name.unwrap_or_else(|| id.to_owned()),
            labels: record.labels,
            created_at: record.created_at,
            fingerprint,
            detail: Detail::Volume {
                size,
                attached_to,
                content_stamp: Some(Stamp::of(&stat).to_string()),
            },
        }))
    }

    /// Which instance has which volume, by the records that can be read.
    pub(crate) fn attachments(&self) -> Result<Vec<Attachment>> {
        let mut attachments = Vec::new();
        for instance in self.folder.ids::<InstanceRecord>()? {
            // A damaged one is told where instances are asked for.
            let Ok(Some(record)) = self.folder.load::<InstanceRecord>(&instance) else {
                continue;
            };
            attachments.extend(record.disks.into_iter().filter_map(|disk| {
                Some(Attachment {
                    instance: instance.clone(),
                    volume: disk.volume?,
                })
            }));
        }
        Ok(attachments)
    }
}

impl Local {
    /// The instance that has a volume.
    pub(crate) fn instance_of(&self, volume: &ResourceRef) -> Result<Option<ResourceRef>> {
        self.attachments()?
            .into_iter()
            .find(|attachment| attachment.volume == volume.id())
            .map(|attachment| self.reference(ResourceKind::Instance, &attachment.instance))
            .transpose()
    }
}

/// A volume on an instance.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) instance: String,
    pub(crate) volume: String,
}

pub(crate) fn missing(resource: &ResourceRef) -> Error {
    Error::new(ErrorKind::NotFound, "there is no such thing in the folder")
        .on(resource.clone())
        .advise("List what is there")
}

fn instance_fingerprint(
    reference: &ResourceRef,
    created_by: Option<&stillpoint_iaas::OperationKey>,
    disks: &[Disk],
) -> String {
    let mut fingerprint = reference.to_string();
    if let Some(key) = created_by {
        fingerprint.push_str(&format!(" by {key}"));
    }
    for disk in disks {
        let volume = disk.volume.as_ref().map_or("ephemeral", ResourceRef::id);
        fingerprint.push_str(&format!(" {:?}={volume:?}:{}", disk.name, disk.size));
    }
    fingerprint
}
