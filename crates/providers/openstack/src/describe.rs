use stillpoint_core::{
    Detail, Disk, Error, ErrorKind, Labels, Power, Resource, ResourceKind, ResourceRef, Result,
};
use stillpoint_iaas::Filter;

use crate::api::cinder::{Snapshot, Volume};
use crate::api::glance::Image;
use crate::api::nova::{Attached, Server};
use crate::cloud::{Cloud, GIB, found, time};
use crate::marks;
use crate::ops::{root_id, root_of};

impl Cloud {
    pub(crate) async fn describe(&self, resource: &ResourceRef) -> Result<Resource> {
        let id = self.id(resource, resource.kind())?;
        let described = async {
            match resource.kind() {
                ResourceKind::Image => self.of_image(&self.session.image(id).await?),
                ResourceKind::Instance => {
                    let server = self.session.server(id).await?;
                    let disks = self.disks(&server, None).await?;
                    self.of_server(&server, disks)
                }
                ResourceKind::Snapshot => {
                    let snapshot = self.session.snapshot(id).await?;
                    snapshot.check_shown()?;
                    self.of_snapshot(&snapshot)
                }
                _ => match root_of(resource) {
                    Some(server) => self.of_root(&self.session.server(server).await?),
                    None => self.of_volume(&self.session.volume(id).await?),
                },
            }
        };
        described.await.map_err(|error| error.on(resource.clone()))
    }

    /// All that match: instances, volumes, snapshots and the project's own images.
    pub(crate) async fn list(&self, filter: &Filter) -> Result<Vec<Resource>> {
        let wants = |kind| filter.kind.is_none_or(|wanted| wanted == kind);
        let mut all = Vec::new();
        let volumes = if wants(ResourceKind::Volume) || wants(ResourceKind::Instance) {
            self.session.volumes().await?
        } else {
            Vec::new()
        };
        if wants(ResourceKind::Instance) {
            for server in self.session.servers().await? {
                let disks = if server.is_out_of_reach() {
                    Ok(Vec::new())
                } else {
                    self.disks(&server, Some(&volumes)).await
                };
                match found(disks)? {
                    Some(disks) => all.push(self.of_server(&server, disks)?),
                    None => tracing::debug!(server = server.id, "it went while it was listed"),
                }
            }
        }
        if wants(ResourceKind::Volume) {
            for volume in &volumes {
                all.push(self.of_volume(volume)?);
            }
        }
        if wants(ResourceKind::Snapshot) {
            let mut snapshots = self.session.snapshots().await?;
            snapshots.retain(|it| !it.is_going());
            for snapshot in snapshots {
                all.push(self.of_snapshot(&snapshot)?);
            }
        }
        if wants(ResourceKind::Image) {
            for image in self.session.images().await? {
                all.push(self.of_image(&image)?);
            }
        }
        all.retain(|resource| filter.matches(resource));
        Ok(all)
    }

    fn of_volume(&self, volume: &Volume) -> Result<Resource> {
        let attached_to: Vec<_> = volume
            .servers()
            .map(|server| self.reference(ResourceKind::Instance, server))
            .collect::<Result<_>>()?;
        let shape = attached_to.iter().map(ToString::to_string);
        let shape: Vec<_> = shape.collect();
        Ok(Resource {
            reference: self.reference(ResourceKind::Volume, &volume.id)?,
            name: volume.name.clone().unwrap_or_default(),
            labels: marks::labels(&volume.metadata),
            created_at: time(volume.created_at.as_deref()),
            fingerprint: format!("{} {} {}", volume.id, volume.size, shape.join(" ")),
            detail: Detail::Volume {
                size: volume.size.saturating_mul(GIB),
                attached_to,
                // Cinder does not tell when a volume was written.
                content_stamp: None,
            },
        })
    }

    fn of_root(&self, server: &Server) -> Result<Resource> {
        if server.image_id().is_none() {
            let what = "its instance boots from a volume in Cinder";
            return Err(Error::new(ErrorKind::NotFound, what).advise("Name that volume"));
        }
        let size = server.flavor.disk.saturating_mul(GIB);
        Ok(Resource {
            reference: self.reference(ResourceKind::Volume, &root_id(&server.id))?,
            name: format!("{} root", server.name),
            labels: Labels::new(),
            created_at: time(server.created.as_deref()),
            fingerprint: format!("{} {size}", server.id),
            detail: Detail::Volume {
                size,
                attached_to: vec![self.reference(ResourceKind::Instance, &server.id)?],
                content_stamp: None,
            },
        })
    }

    fn of_snapshot(&self, snapshot: &Snapshot) -> Result<Resource> {
        Ok(Resource {
            reference: self.reference(ResourceKind::Snapshot, &snapshot.id)?,
            name: snapshot.name.clone().unwrap_or_default(),
            labels: marks::labels(&snapshot.metadata),
            created_at: time(snapshot.created_at.as_deref()),
            fingerprint: format!("{} {}", snapshot.id, snapshot.size),
            detail: Detail::Snapshot {
                of: self.reference(ResourceKind::Volume, &snapshot.volume_id)?,
                size: snapshot.size.saturating_mul(GIB),
            },
        })
    }

    fn of_image(&self, image: &Image) -> Result<Resource> {
        let size = image.disk_size();
        Ok(Resource {
            reference: self.reference(ResourceKind::Image, &image.id)?,
            name: image.name.clone().unwrap_or_default(),
            labels: image.labels(),
            created_at: time(image.created_at.as_deref()),
            fingerprint: format!("{} {size}", image.id),
            detail: Detail::Image { size },
        })
    }

    fn of_server(&self, server: &Server, disks: Vec<Disk>) -> Result<Resource> {
        let shape = disks.iter().map(|disk| {
            let volume = disk.volume.as_ref().map_or("", |volume| volume.id());
            format!("{}={volume}:{}", disk.name, disk.size)
        });
        let shape: Vec<_> = shape.collect();
        Ok(Resource {
            reference: self.reference(ResourceKind::Instance, &server.id)?,
            name: server.name.clone(),
            labels: marks::labels(&server.metadata),
            created_at: time(server.created.as_deref()),
            fingerprint: format!("{} {}", server.id, shape.join(" ")),
            detail: Detail::Instance {
                power: if server.is_off() {
                    Power::Off
                } else {
                    Power::On
                },
                disks,
            },
        })
    }

    /// The disks of a server, the boot disk first.
    async fn disks(&self, server: &Server, known: Option<&[Volume]>) -> Result<Vec<Disk>> {
        let mut attached = self.session.attached(&server.id).await?;
        attached.sort_by_key(Attached::order);
        let mut disks = Vec::new();
        let flavor = &server.flavor;
        let local = |name: &str, size: u64, boot| Disk {
            name: name.to_owned(),
            volume: None,
            size,
            boot,
        };
        if server.image_id().is_some() {
            disks.push(Disk {
                volume: Some(self.reference(ResourceKind::Volume, &root_id(&server.id))?),
                ..local("root", flavor.disk.saturating_mul(GIB), true)
            });
        }
        for one in &attached {
            let known = known.and_then(|all| all.iter().find(|it| it.id == one.volume));
            let size = match known {
                Some(volume) => Some(volume.size),
                None => found(self.session.volume(&one.volume).await)?.map(|it| it.size),
            };
            // Nova may list one that Cinder has no more: then there is nothing to take.
            let volume = || self.reference(ResourceKind::Volume, &one.volume);
            let boot = disks.is_empty();
            disks.push(Disk {
                volume: size.map(|_| volume()).transpose()?,
                ..local(&one.name(), size.unwrap_or(0).saturating_mul(GIB), boot)
            });
        }
        if flavor.ephemeral > 0 {
            disks.push(local(
                "ephemeral",
                flavor.ephemeral.saturating_mul(GIB),
                false,
            ));
        }
        if flavor.swap > 0 {
            disks.push(local("swap", flavor.swap.saturating_mul(1 << 20), false));
        }
        Ok(disks)
    }
}
