//! An image from a snapshot, or from an image, which is the snapshot of a disk on a hypervisor.
//! Cinder writes images from volumes alone, so a volume comes between, which carries the key from
//! the first call on. The image has the key in its name, until one call gives it its marks, labels
//! and own name.

use std::sync::{Arc, Weak};
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result, Retry};
use stillpoint_iaas::{Observation, OperationKey, Output, Ticket};

use super::Ask;
use crate::api::cinder::NewVolume;
use crate::api::glance::Image;
use crate::cloud::{Cloud, found, gib, running};
use crate::failure::PASSING;
use crate::leases::busy;
use crate::made::{Made, Stage, failed, observe};
use crate::marks;

/// The state of what is not there.
const GONE: &str = "gone";

/// How often the carrier looks whether it can go on.
const PACE: Duration = Duration::from_secs(1);

/// The name of the volume between.
const BETWEEN: &str = "stillpoint: an image is made from this";

impl Ask<'_> {
    pub(super) async fn create_image(
        self,
        name: &str,
        labels: &Labels,
        from: &ResourceRef,
    ) -> Result<Ticket> {
        let on = |error: Error| error.on(from.clone());
        let session = &self.cloud.session;
        let metadata = marks::image_metadata(self.key, labels)?;
        let own = std::collections::BTreeMap::from([(marks::KEY.to_owned(), self.key.to_string())]);
        let mut new = NewVolume {
            name: BETWEEN,
            size: 0,
            metadata: own,
            snapshot: None,
            image: None,
        };
        let mut lease = None;
        let status = if from.kind() == ResourceKind::Image {
            let id = self.cloud.id(from, ResourceKind::Image)?;
            let image = session.image(id).await.map_err(on)?;
            new.image = Some(id);
            new.size = gib(image.disk_size()).max(image.min_disk);
            image.status
        } else {
            let id = self.cloud.id(from, ResourceKind::Snapshot)?;
            lease = Some(self.cloud.leases.read(id).map_err(on)?);
            let snapshot = session.snapshot(id).await.map_err(on)?;
            snapshot.check_shown().map_err(on)?;
            new.snapshot = Some(id);
            new.size = snapshot.size;
            snapshot.status
        };
        if matches!(&*status, "creating" | "queued" | "saving") {
            return Err(on(busy("it is still being taken")));
        }
        let volume = session.create_volume(&new).await.map_err(on)?.id;
        drop(lease);
        let carrier = Carrier {
            cloud: Arc::downgrade(self.cloud),
            key: self.key.clone(),
            volume,
            name: name.to_owned(),
            metadata,
        };
        self.cloud.carried.begin(self.key, carrier.carry());
        Ok(self.ticket(""))
    }

    pub(super) async fn observe_image(self) -> Result<Observation> {
        let session = &self.cloud.session;
        let carried = self.cloud.carried.is_carried(self.key);
        let uploaded = session.images_named(&name_until_marked(self.key)).await?;
        let images = session.images_marked(marks::KEY, self.key.as_str()).await?;
        let volumes = session
            .volumes_marked(marks::KEY, self.key.as_str())
            .await?;
        if carried {
            return Ok(running());
        }
        let why = self.cloud.carried.why(self.key);
        // Nobody carries it on: its process ended, or it failed. What the cloud does ends first.
        let moves = volumes.iter().any(|it| PASSING.contains(&&*it.status));
        let ended = || {
            let ended = || "the process that made it ended".to_owned();
            Stage::Failed(why.clone().unwrap_or_else(ended))
        };
        let mut made = Vec::new();
        let is_uploaded = |image: &Image| uploaded.iter().any(|it| it.id == image.id);
        let marked = images.iter().filter(|image| !is_uploaded(image));
        for (image, complete) in marked
            .map(|it| (it, true))
            .chain(uploaded.iter().map(|it| (it, false)))
        {
            made.push(Made {
                reference: self.cloud.reference(ResourceKind::Image, &image.id)?,
                stage: match image.status.as_str() {
                    _ if moves => Stage::Running(None),
                    _ if !complete => ended(),
                    "active" => Stage::Ready,
                    "saving" | "queued" => Stage::Running(None),
                    other => Stage::Failed(format!("the image is in state `{other}`")),
                },
                thing: (),
            });
        }
        for volume in &volumes {
            made.push(Made {
                reference: self.cloud.reference(ResourceKind::Volume, &volume.id)?,
                stage: if moves { Stage::Running(None) } else { ended() },
                thing: (),
            });
        }
        if made.is_empty()
            && let Some(why) = why
        {
            return Ok(Observation::Failed {
                error: failed(why),
                left: Vec::new(),
            });
        }
        let created = |it: &Made<()>| Ok(Output::Created(it.reference.clone()));
        observe(made, self.ticket, created)
    }

    /// Nobody carries it on any more; what there is by then is told as left behind.
    pub(super) async fn cancel_image(self) -> Result<()> {
        self.cloud.carried.end(self.key);
        Ok(())
    }
}

/// Carries an image on from call to call while this process lives.
struct Carrier {
    cloud: Weak<Cloud>,
    key: OperationKey,
    volume: String,
    name: String,
    metadata: std::collections::BTreeMap<String, String>,
}

impl Carrier {
    async fn carry(self) {
        if let Err(error) = self.steps().await
            && let Some(cloud) = self.cloud.upgrade()
        {
            tracing::warn!(key = %self.key, %error, "an image could not be made");
            cloud.carried.fail(&self.key, error.to_report().message);
        }
    }

    async fn steps(&self) -> Result<()> {
        let between = ResourceKind::Volume;
        let volume = self.volume.as_str();
        self.until(between, volume, "available", &["creating", "downloading"])
            .await?;
        let name = name_until_marked(&self.key);
        let image = self.cloud()?.session.upload(volume, &name).await?;
        let mut all = self.metadata.clone();
        all.insert("name".to_owned(), self.name.clone());
        self.cloud()?.session.set_properties(&image, &all).await?;
        let on_the_way = ["queued", "saving", "importing", "uploading"];
        self.until(ResourceKind::Image, &image, "active", &on_the_way)
            .await?;
        self.until(between, volume, "available", &["uploading"])
            .await?;
        self.cloud()?.session.delete_volume(volume).await?;
        self.until(between, volume, GONE, &["deleting", "available"])
            .await
    }

    fn cloud(&self) -> Result<Arc<Cloud>> {
        self.cloud
            .upgrade()
            .ok_or_else(|| Error::new(ErrorKind::Cancelled, "the provider is closed"))
    }

    /// Waits for a state; what fails for a while is asked again.
    async fn until(
        &self,
        kind: ResourceKind,
        id: &str,
        wanted: &str,
        on_the_way: &[&str],
    ) -> Result<()> {
        loop {
            match self.status(kind, id).await {
                Ok(status) if check(&status, wanted, on_the_way)? => return Ok(()),
                Ok(_) => {}
                Err(error) if error.retry() != Retry::Never => {
                    tracing::debug!(%error, "asked again later");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn status(&self, kind: ResourceKind, id: &str) -> Result<String> {
        let cloud = self.cloud()?;
        let status = if kind == ResourceKind::Image {
            found(cloud.session.image(id).await)?.map(|image| image.status)
        } else {
            found(cloud.session.volume(id).await)?.map(|volume| volume.status)
        };
        Ok(status.unwrap_or_else(|| GONE.to_owned()))
    }
}

/// What an image is called while it has no marks: Cinder takes nothing but a name for it.
fn name_until_marked(key: &OperationKey) -> String {
    format!("stillpoint makes {key}")
}

/// Whether it is in the state waited for, on the way there, or lost.
fn check(status: &str, wanted: &str, on_the_way: &[&str]) -> Result<bool> {
    if status == wanted {
        return Ok(true);
    }
    if on_the_way.contains(&status) {
        return Ok(false);
    }
    Err(failed(format!("it came to state `{status}`")).retry_with(Retry::Never))
}
