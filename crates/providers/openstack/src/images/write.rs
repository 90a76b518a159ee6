use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt;
use stillpoint_core::{Labels, ResourceKind, ResourceRef, Result, World};
use stillpoint_iaas::OperationKey;

use super::check::{Passing, not_as_written};
use crate::cloud::{Cloud, found};
use crate::leases::busy;
use crate::marks;

/// An image that is to be made of bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NewImage {
    /// Its name there.
    pub name: String,
    /// What its bytes are, in Glance's words: `raw`, `qcow2`.
    pub format: String,
    /// Its labels there.
    pub labels: Labels,
}

impl NewImage {
    /// One with this name, of bytes of this format, and no labels.
    pub fn new(name: impl Into<String>, format: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            format: format.into(),
            labels: Labels::new(),
        }
    }

    /// With this label, too.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }
}

impl Cloud {
    pub(crate) async fn write_image(
        &self,
        key: &OperationKey,
        new: &NewImage,
        bytes: BoxStream<'static, Result<Bytes>>,
    ) -> Result<ResourceRef> {
        let metadata = marks::image_metadata(key, &new.labels)?;
        let id = match self.begun(key).await? {
            Some((id, true)) => return self.reference(ResourceKind::Image, &id),
            Some((id, false)) => id,
            None => {
                self.session
                    .create_image_of(&new.name, &new.format, &metadata)
                    .await?
            }
        };
        let reference = self.reference(ResourceKind::Image, &id)?;
        let passing = Passing::sha512();
        let written = match self.session.pour(&id, passing.over(bytes)).await {
            Ok(()) => self.check_written(&id, &passing).await,
            Err(error) => Err(error),
        };
        let Err(error) = written else {
            return Ok(reference);
        };
        // Half an image is none.
        let left = match found(self.session.delete_image(&id).await) {
            Ok(_) => World::RolledBack,
            Err(_) => World::Changed,
        };
        Err(error.on(reference).leaving(left))
    }

    /// What an earlier call under the key came to: its image, and whether that is complete.
    async fn begun(&self, key: &OperationKey) -> Result<Option<(String, bool)>> {
        let made = self.session.images_marked(marks::KEY, key.as_str()).await?;
        let Some(image) = made.into_iter().find(|it| !it.has_failed()) else {
            return Ok(None);
        };
        match image.status.as_str() {
            "active" => Ok(Some((image.id, true))),
            "queued" => Ok(Some((image.id, false))),
            other => {
                let reference = self.reference(ResourceKind::Image, &image.id)?;
                let what = format!("it is being written already, in state `{other}`");
                Err(busy(&what).on(reference))
            }
        }
    }

    async fn check_written(&self, id: &str, passing: &Passing) -> Result<()> {
        let there = self.session.image(id).await?;
        let (digest, length) = passing.so_far();
        if there.size != Some(length) {
            let has = there.size.unwrap_or_default();
            return Err(not_as_written(&format!(
                "{length} bytes were written, and {has} are there"
            )));
        }
        match (
            there.property("os_hash_algo"),
            there.property("os_hash_value"),
        ) {
            (Some("sha512"), Some(theirs)) if !theirs.eq_ignore_ascii_case(&digest) => {
                Err(not_as_written(&format!(
                    "bytes of digest {digest} were written, and {theirs} are there"
                )))
            }
            (Some("sha512"), Some(_)) => Ok(()),
            // Another algorithm: read back what is there.
            _ => self.read_back(id, &digest).await,
        }
    }

    async fn read_back(&self, id: &str, digest: &str) -> Result<()> {
        let about = self.reference(ResourceKind::Image, id)?;
        let passing = Passing::sha512();
        let size = self.session.image(id).await?.size.unwrap_or_default();
        let bytes = self.read_image(&about, 0..size).await?;
        let checked = passing.against(bytes, digest.to_owned(), about);
        checked.try_for_each(|_| std::future::ready(Ok(()))).await
    }
}
