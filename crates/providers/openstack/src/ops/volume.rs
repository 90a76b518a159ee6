use stillpoint_core::{Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result, World};
use stillpoint_iaas::{Observation, Output, Ticket};

use super::Ask;
use crate::api::cinder::{NewVolume, Volume};
use crate::cloud::{GIB, done, found, gib, running};
use crate::failure::PASSING;
use crate::leases::busy;
use crate::made::{Made, Stage, failed, observe};
use crate::marks;

impl Ask<'_> {
    pub(super) async fn create_volume(
        self,
        name: &str,
        labels: &Labels,
        size: u64,
        from: Option<&ResourceRef>,
    ) -> Result<Ticket> {
        let session = &self.cloud.session;
        let metadata = marks::metadata(self.key, labels)?;
        let mut new = NewVolume {
            name,
            size: gib(size),
            metadata,
            snapshot: None,
            image: None,
        };
        let mut lease = None;
        if let Some(from) = from {
            let on = |error: Error| error.on(from.clone());
            let holds = if from.kind() == ResourceKind::Image {
                let id = self.cloud.id(from, ResourceKind::Image)?;
                let image = session.image(id).await.map_err(on)?;
                new.image = Some(id);
                new.size = new.size.max(image.min_disk);
                image.disk_size()
            } else {
                let id = self.cloud.id(from, ResourceKind::Snapshot)?;
                // From before it is looked at until Cinder has noted who reads it.
                lease = Some(self.cloud.leases.read(id).map_err(on)?);
                let snapshot = session.snapshot(id).await.map_err(on)?;
                snapshot.check_shown().map_err(on)?;
                check_source(&snapshot.status).map_err(on)?;
                new.snapshot = Some(id);
                snapshot.size.saturating_mul(GIB)
            };
            if size < holds {
                let what = format!("{size} bytes are asked, and {from} holds {holds}");
                return Err(Error::new(ErrorKind::Invalid, what).advise("Ask for at least as many"));
            }
        }
        let volume = session.create_volume(&new).await?;
        drop(lease);
        Ok(self.ticket(&volume.id))
    }

    pub(super) async fn observe_volume(self) -> Result<Observation> {
        let marked = self
            .cloud
            .session
            .volumes_marked(marks::KEY, self.key.as_str())
            .await?;
        let made = marked.into_iter().map(|volume| {
            Ok(Made {
                reference: self.cloud.reference(ResourceKind::Volume, &volume.id)?,
                stage: stage(&volume),
                thing: (),
            })
        });
        let created = |it: &Made<()>| Ok(Output::Created(it.reference.clone()));
        observe(made.collect::<Result<_>>()?, self.ticket, created)
    }

    pub(super) async fn delete_volume(self, volume: &ResourceRef) -> Result<Ticket> {
        let id = self.volume_id(volume)?;
        let session = &self.cloud.session;
        let on = |error: Error| error.on(volume.clone());
        let Some(seen) = found(session.volume(id).await).map_err(on)? else {
            return Ok(self.ticket(id));
        };
        if seen.status == "deleting" {
            return Ok(self.ticket(id));
        }
        if let Some(server) = seen.servers().next() {
            let what = format!("it is attached to instance {server}");
            return Err(on(
                Error::new(ErrorKind::Precondition, what).advise("Detach it first")
            ));
        }
        // Cinder's refusal does not tell in which state it is.
        if PASSING.contains(&&*seen.status) {
            return Err(on(busy(&format!("it is in state `{}`", seen.status))));
        }
        match session.delete_volume(id).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(self.ticket(id)),
            Err(error) => Err(on(error)),
            Ok(()) => Ok(self.ticket(id)),
        }
    }

    pub(super) async fn observe_deleted_volume(self, volume: &ResourceRef) -> Result<Observation> {
        let id = self.volume_id(volume)?;
        let seen = found(self.cloud.session.volume(id).await)?;
        Ok(deleted(volume, seen.map(|seen| seen.status), self.ticket))
    }
}

fn stage(volume: &Volume) -> Stage {
    match volume.status.as_str() {
        _ if volume.has_failed() => Stage::Failed(format!(
            "Cinder made it, and it is in state `{}`",
            volume.status
        )),
        "attaching" | "available" | "detaching" | "in-use" | "reserved" | "uploading" => {
            Stage::Ready
        }
        _ => Stage::Running(None),
    }
}

fn check_source(status: &str) -> Result<()> {
    match status {
        "available" | "in-use" => Ok(()),
        "creating" => Err(busy("it is still being taken")),
        other => {
            let what = format!("it is in state `{other}`, and nothing can be made from it");
            Err(Error::new(ErrorKind::Precondition, what).advise("Use another snapshot"))
        }
    }
}

/// What is to be said of a thing in Cinder that was to be deleted, by the state it is in.
pub(super) fn deleted(
    of: &ResourceRef,
    status: Option<String>,
    ticket: Option<&Ticket>,
) -> Observation {
    let refused = |status: &str| {
        let what = format!("Cinder did not delete it, and left it in state `{status}`");
        let world = match status {
            "available" => World::Untouched,
            _ => World::Changed,
        };
        let error = failed(what)
            .on(of.clone())
            .leaving(world)
            .advise("Remove what depends on it (volumes made from it), then delete it again");
        Observation::Failed {
            error,
            left: Vec::new(),
        }
    };
    match (status.as_deref(), ticket) {
        (None, _) => done(),
        (Some("deleting" | "deleted"), _) => running(),
        (Some(status), _) if status == "error_deleting" => refused(status),
        // Cinder took it and gave it up: what depends on it is busy.
        (Some(status), Some(_)) => refused(status),
        (Some(_), None) => Observation::Absent,
    }
}
