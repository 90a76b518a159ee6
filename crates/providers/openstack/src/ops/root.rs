//! The root disk of an instance that was launched from an image. It is a file on a hypervisor and
//! not in Cinder, so it stands under a name of ours, and its snapshot is an image.

use std::collections::BTreeMap;

use stillpoint_core::{CopyKind, Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::{Observation, TakenPart, Ticket};

use super::Ask;
use super::snapshot::{capture_of, output};
use crate::api::glance::Image;
use crate::cloud::{found, running, time};
use crate::leases::busy;
use crate::made::{Made, Stage, observe};
use crate::marks;

/// What the ids of such disks start with; the server's id follows.
const ROOT_OF: &str = "root-of-";

/// The id of the server whose root disk this volume is, where it is one.
pub(crate) fn root_of(volume: &ResourceRef) -> Option<&str> {
    let is_volume = volume.kind() == ResourceKind::Volume;
    volume.id().strip_prefix(ROOT_OF).filter(|_| is_volume)
}

/// The id of the root disk of a server.
pub(crate) fn root_id(server: &str) -> String {
    format!("{ROOT_OF}{server}")
}

impl Ask<'_> {
    pub(super) async fn take_root(
        self,
        volume: &ResourceRef,
        server: &str,
        name: &str,
        mut metadata: BTreeMap<String, String>,
    ) -> Result<Ticket> {
        let on = |error: Error| error.on(volume.clone());
        let session = &self.cloud.session;
        let seen = session.server(server).await.map_err(on)?;
        if seen.image_id().is_none() {
            let what = "its instance boots from a volume in Cinder";
            return Err(on(
                Error::new(ErrorKind::NotFound, what).advise("Take that volume")
            ));
        }
        if let Some(task) = &seen.task {
            return Err(on(busy(&format!("its instance is in task `{task}`"))));
        }
        metadata.extend(self.server_marks(&seen).await.map_err(on)?);
        metadata.extend([capture_of(&seen)]);
        let image = session
            .create_image(server, name, &metadata)
            .await
            .map_err(on)?;
        Ok(self.ticket(image.as_deref().unwrap_or_default()))
    }

    pub(super) async fn observe_root(
        self,
        volume: &ResourceRef,
        server: &str,
    ) -> Result<Observation> {
        let session = &self.cloud.session;
        let images = session.images_marked(marks::KEY, self.key.as_str()).await?;
        let seen = found(session.server(server).await)?;
        // The image is active a moment before its server is free again.
        let uploading = seen
            .as_ref()
            .and_then(|server| server.task.as_deref())
            .is_some_and(|task| task.starts_with("image_"));
        // Nova notices an image that is deleted, but not at once, and is not done with it before.
        if images.is_empty() && uploading {
            return Ok(running());
        }
        let made = images.into_iter().map(|image| {
            Ok(Made {
                reference: self.cloud.reference(ResourceKind::Image, &image.id)?,
                stage: match image.status.as_str() {
                    _ if image.has_failed() => {
                        Stage::Failed(format!("its image is in state `{}`", image.status))
                    }
                    "active" if !uploading => Stage::Ready,
                    // Nova has given it up: nobody will write its bytes any more.
                    "queued" | "saving" if !uploading && self.is_old(&image) => {
                        Stage::Failed("Nova never wrote the image".to_owned())
                    }
                    _ => Stage::Running(None),
                },
                thing: image,
            })
        });
        observe(made.collect::<Result<_>>()?, self.ticket, |made| {
            let image = &made.thing;
            let part = TakenPart {
                volume: volume.clone(),
                snapshot: made.reference.clone(),
                size: image.disk_size(),
                // It has its own bytes in Glance.
                copy: CopyKind::Full,
                content_stamp: None,
            };
            let capture = image.property(marks::CAPTURE).map(ToOwned::to_owned);
            Ok(output(
                vec![part],
                time(image.created_at.as_deref()),
                capture.as_ref(),
            ))
        })
    }

    /// Whether an image has been without a task for longer than the gaps between tasks are.
    fn is_old(&self, image: &Image) -> bool {
        let Some(made_at) = time(image.created_at.as_deref()) else {
            return false;
        };
        jiff::Timestamp::now().duration_since(made_at) > jiff::SignedDuration::from_mins(2)
    }

    /// Deleting the image is what ends a createImage.
    pub(super) async fn cancel_root(self) -> Result<()> {
        let session = &self.cloud.session;
        for image in session.images_marked(marks::KEY, self.key.as_str()).await? {
            if image.status != "active" {
                found(session.delete_image(&image.id).await)?;
            }
        }
        Ok(())
    }
}
