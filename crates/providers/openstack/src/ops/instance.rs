use serde_json::json;
use stillpoint_core::{Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result, Retry};
use stillpoint_iaas::{NewDisk, Observation, Output, Ticket};

use super::Ask;
use super::attach::check_tag;
use crate::api::cinder::Volume;
use crate::api::nova::{Attached, KEEP_VOLUMES};
use crate::cloud::{done, found, running};
use crate::config::Service;
use crate::launch::{Launch, Networks};
use crate::made::{Made, Stage, failed, observe};
use crate::marks;
use crate::preflight::{NO_FLAVOR, gone};

/// The state of what Nova deletes only later (`reclaim_instance_interval`).
const KEPT: &str = "SOFT_DELETED";

impl Ask<'_> {
    pub(super) async fn create_instance(
        self,
        name: &str,
        labels: &Labels,
        disks: &[NewDisk],
    ) -> Result<Ticket> {
        let session = &self.cloud.session;
        let metadata = marks::metadata(self.key, labels)?;
        let mut boots = None;
        let mut mapping = Vec::new();
        for disk in disks {
            check_tag(&disk.name)?;
            let id = self.volume_id(&disk.volume)?;
            let on = |error: Error| error.on(disk.volume.clone());
            let volume = session.volume(id).await.map_err(on)?;
            check_free(&volume).map_err(on)?;
            if disk.boot && boots.is_none() {
                boots = Some(volume);
            }
            mapping.push(json!({
                "uuid": id,
                "source_type": "volume",
                "destination_type": "volume",
                "boot_index": if disk.boot { 0 } else { -1 },
                "delete_on_termination": false,
                "tag": disk.name,
            }));
        }
        let boots = boots.ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                format!("instance `{name}` has no disk to boot from"),
            )
            .advise("Mark one of its disks as the boot disk")
        })?;
        let launch = self.launch(&boots).await?;
        let flavor = launch
            .flavor
            .ok_or_else(|| Error::new(ErrorKind::Precondition, NO_FLAVOR))?;
        let Some(flavor) = session.flavor(&flavor).await? else {
            return Err(Error::new(ErrorKind::Precondition, gone("flavor", &flavor)));
        };
        let mut body = json!({
            "name": name,
            "flavorRef": flavor,
            "metadata": metadata,
            "block_device_mapping_v2": mapping,
            "networks": match launch.networks {
                None | Some(Networks::None) => json!("none"),
                Some(Networks::These(ids)) => ids.iter().map(|id| json!({ "uuid": id })).collect(),
            },
        });
        if let Some(key_pair) = launch.key_pair {
            body["key_name"] = key_pair.into();
        }
        let server = session.create_server(body).await?;
        Ok(self.ticket(&server))
    }

    /// What was said to this provider, and else what the snapshot remembers that the boot volume is
    /// made of: a Cinder snapshot, or an image, of which Cinder keeps the properties.
    async fn launch(&self, boots: &Volume) -> Result<Launch> {
        let said = self.cloud.launch.clone();
        let snapshot = match &boots.snapshot_id {
            Some(snapshot) => found(self.cloud.session.snapshot(snapshot).await)?,
            None => None,
        };
        Ok(said.or(|mark| match &boots.snapshot_id {
            Some(_) => Some(snapshot.as_ref()?.metadata.get(mark)?.as_str()),
            None => boots.image_property(mark),
        }))
    }

    pub(super) async fn observe_instance(self) -> Result<Observation> {
        let mut servers = self.cloud.session.servers().await?;
        servers.retain(|it| {
            it.metadata
                .get(marks::KEY)
                .is_some_and(|it| it == self.key.as_str())
        });
        let made = servers.into_iter().map(|server| {
            Ok(Made {
                reference: self.cloud.reference(ResourceKind::Instance, &server.id)?,
                stage: match server.status.as_str() {
                    _ if server.has_failed() => {
                        Stage::Failed(format!("Nova could not make it: {}", server.why()))
                    }
                    KEPT => {
                        Stage::Failed("it was deleted, and Nova keeps it for a while".to_owned())
                    }
                    "BUILD" | "DELETED" => Stage::Running(None),
                    _ if server.task.as_deref() == Some("deleting") => Stage::Running(None),
                    _ => Stage::Ready,
                },
                thing: (),
            })
        });
        let created = |it: &Made<()>| Ok(Output::Created(it.reference.clone()));
        observe(made.collect::<Result<_>>()?, self.ticket, created)
    }

    /// Its volumes were there before it and stay.
    pub(super) async fn cancel_instance(self) -> Result<()> {
        let session = &self.cloud.session;
        for server in session.servers().await? {
            let ours = server
                .metadata
                .get(marks::KEY)
                .is_some_and(|it| it == self.key.as_str());
            if ours && server.status == "BUILD" {
                found(session.delete_server(&server.id).await)?;
            }
        }
        Ok(())
    }

    pub(super) async fn delete_instance(self, instance: &ResourceRef) -> Result<Ticket> {
        let on = |error: Error| error.on(instance.clone());
        let id = self.cloud.id(instance, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        let Some(attached) = found(session.attached(id).await).map_err(on)? else {
            return Ok(self.ticket(""));
        };
        for one in &attached {
            if !self.goes_along(id, one).await.map_err(on)? {
                continue;
            }
            if !session.speaks(Service::Compute, KEEP_VOLUMES).await? {
                let what = format!("Nova would delete volume {} with it", one.volume);
                return Err(on(
                    Error::new(ErrorKind::Precondition, what).advise("Detach that volume first")
                ));
            }
            session.keep(id, &one.volume).await.map_err(on)?;
        }
        // Else a Nova that reclaims the deleted later would keep it, and its volumes, until then.
        let forced = session.act_with(id, json!({ "forceDelete": null })).await;
        let deleted = match forced {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Permission) => {
                session.delete_server(id).await
            }
            other => other,
        };
        found(deleted).map_err(on)?;
        let volumes: Vec<_> = attached.into_iter().map(|one| one.volume).collect();
        Ok(self.ticket(&volumes.join(" ")))
    }

    /// Whether Nova would delete a volume with its server: an older one tells it of the server alone.
    async fn goes_along(&self, server: &str, one: &Attached) -> Result<bool> {
        if let Some(told) = one.delete_on_termination {
            return Ok(told);
        }
        let seen = self.cloud.session.server(server).await?;
        seen.takes_along(&one.volume).ok_or_else(|| {
            let what = format!(
                "Nova does not tell whether volume {} goes with it",
                one.volume
            );
            Error::new(ErrorKind::Precondition, what).advise("Detach that volume first")
        })
    }

    /// It is gone when its volumes are free, too.
    pub(super) async fn observe_deleted_instance(
        self,
        instance: &ResourceRef,
    ) -> Result<Observation> {
        let id = self.cloud.id(instance, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        if let Some(seen) = found(session.server(id).await)? {
            let going = seen.task.as_deref() == Some("deleting") || seen.status == "DELETED";
            if self.ticket.is_some() && seen.status == KEPT && seen.task.is_none() {
                let what = "Nova deleted it, and keeps it until it reclaims it".to_owned();
                let error = failed(what)
                    .retry_with(Retry::Never)
                    .on(instance.clone())
                    .advise("Have the operator allow the project `os-deferred-delete:force`");
                return Ok(Observation::Failed {
                    error,
                    left: Vec::new(),
                });
            }
            return Ok(if going || (self.ticket.is_some() && !seen.has_failed()) {
                running()
            } else if self.ticket.is_some() {
                Observation::Failed {
                    error: failed(format!("Nova did not delete it: {}", seen.why()))
                        .on(instance.clone()),
                    left: Vec::new(),
                }
            } else {
                Observation::Absent
            });
        }
        for volume in self.ticket.map_or("", Ticket::as_str).split_whitespace() {
            let seen = found(session.volume(volume).await)?;
            if seen.is_some_and(|seen| seen.servers().any(|server| server == id)) {
                return Ok(running());
            }
        }
        Ok(done())
    }
}

fn check_free(volume: &Volume) -> Result<()> {
    match (volume.servers().next(), volume.status.as_str()) {
        (Some(server), _) => {
            let what = format!("it is attached to instance {server}");
            Err(Error::new(ErrorKind::Precondition, what).advise("Detach it there first"))
        }
        (None, "available") => Ok(()),
        (None, other) => {
            let what = format!("it is in state `{other}`, and not available");
            Err(Error::new(ErrorKind::Precondition, what).advise("Wait, or use another volume"))
        }
    }
}
