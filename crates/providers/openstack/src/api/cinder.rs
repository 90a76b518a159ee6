//! Block Storage API v3: <https://docs.openstack.org/api-ref/block-storage/v3/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use stillpoint_core::{Error, ErrorKind, Result};

use super::{Identified, id, pages};
use crate::config::Service;
use crate::session::{Call, Session};
use crate::version::Version;

/// From here on a volume in use needs no `force`, and gets a refusal for `force: false`.
const NO_FORCE: Version = Version::new(3, 66);

/// From here on snapshots are filtered by their metadata.
const SNAPSHOTS_BY_METADATA: Version = Version::new(3, 22);

/// From here on volumes are reverted.
pub(crate) const REVERT: Version = Version::new(3, 40);

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: String,
    /// GiB.
    pub(crate) size: u64,
    pub(crate) created_at: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) snapshot_id: Option<String>,
    /// Properties of the image that it was made of.
    #[serde(default, rename = "volume_image_metadata")]
    image: BTreeMap<String, String>,
    pub(crate) group_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) server_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: String,
    /// GiB.
    pub(crate) size: u64,
    pub(crate) volume_id: String,
    pub(crate) created_at: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(rename = "os-extended-snapshot-attributes:progress")]
    pub(crate) progress: Option<String>,
    /// Where it was taken together with others.
    pub(crate) group_snapshot_id: Option<String>,
}

/// What the project may have in all, and has; −1: as much as it likes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Absolute {
    pub(crate) max_total_snapshots: i64,
    pub(crate) max_total_volume_gigabytes: i64,
    pub(crate) total_snapshots_used: i64,
    pub(crate) total_gigabytes_used: i64,
}

/// What a new volume is made of.
#[derive(Clone, Debug)]
pub(crate) struct NewVolume<'a> {
    pub(crate) name: &'a str,
    /// GiB.
    pub(crate) size: u64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) snapshot: Option<&'a str>,
    pub(crate) image: Option<&'a str>,
}

impl Identified for Volume {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Identified for Snapshot {
    fn id(&self) -> &str {
        &self.id
    }
}

fn call(path: String) -> Call {
    Call::get(Service::Volume, path)
}

fn post(path: String, body: Value) -> Call {
    Call::post(Service::Volume, path, body)
}

impl Session {
    pub(crate) async fn volume(&self, volume: &str) -> Result<Volume> {
        let call = call(format!("/volumes/{}", id(volume)?));
        self.send(call).await?.read("volume")
    }

    pub(crate) async fn volumes(&self) -> Result<Vec<Volume>> {
        let call = call("/volumes/detail".into()).query("sort", "created_at:asc,id:asc");
        pages(self, &call, "volumes").await
    }

    /// The volumes that carry this mark, the oldest first.
    pub(crate) async fn volumes_marked(&self, mark: &str, value: &str) -> Result<Vec<Volume>> {
        let all = call("/volumes/detail".into()).query("sort", "created_at:asc,id:asc");
        let marked = all
            .clone()
            .query("metadata", json!({ mark: value }).to_string());
        let mut found: Vec<Volume> = match pages(self, &marked, "volumes").await {
            Err(error) if is_filter(&error) => pages(self, &all, "volumes").await?,
            other => other?,
        };
        found.retain(|it| it.metadata.get(mark).is_some_and(|it| it == value));
        Ok(found)
    }

    pub(crate) async fn create_volume(&self, new: &NewVolume<'_>) -> Result<Volume> {
        let body = json!({ "volume": {
            "name": new.name,
            "size": new.size,
            "metadata": new.metadata,
            "snapshot_id": new.snapshot,
            "imageRef": new.image,
        } });
        let mut body = body;
        if let Some(volume) = body["volume"].as_object_mut() {
            volume.retain(|_, value| !value.is_null());
        }
        self.send(post("/volumes".into(), body))
            .await?
            .read("volume")
    }

    pub(crate) async fn delete_volume(&self, volume: &str) -> Result<()> {
        let path = format!("/volumes/{}", id(volume)?);
        self.send(Call::delete(Service::Volume, path))
            .await
            .map(drop)
    }

    pub(crate) async fn revert(&self, volume: &str, snapshot: &str) -> Result<()> {
        let body = json!({ "revert": { "snapshot_id": snapshot } });
        let path = format!("/volumes/{}/action", id(volume)?);
        self.send(post(path, body)).await.map(drop)
    }

    pub(crate) async fn snapshot(&self, snapshot: &str) -> Result<Snapshot> {
        let call = call(format!("/snapshots/{}", id(snapshot)?));
        self.send(call).await?.read("snapshot")
    }

    pub(crate) async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        let call = call("/snapshots/detail".into()).query("sort", "created_at:asc,id:asc");
        pages(self, &call, "snapshots").await
    }

    /// The snapshots that carry this mark, the oldest first.
    pub(crate) async fn snapshots_marked(&self, mark: &str, value: &str) -> Result<Vec<Snapshot>> {
        let all = call("/snapshots/detail".into()).query("sort", "created_at:asc,id:asc");
        let mut found: Vec<Snapshot> =
            if self.speaks(Service::Volume, SNAPSHOTS_BY_METADATA).await? {
                let marked = all
                    .clone()
                    .query("metadata", json!({ mark: value }).to_string());
                match pages(self, &marked, "snapshots").await {
                    Err(error) if is_filter(&error) => pages(self, &all, "snapshots").await?,
                    other => other?,
                }
            } else {
                pages(self, &all, "snapshots").await?
            };
        found.retain(|it| it.metadata.get(mark).is_some_and(|it| it == value));
        Ok(found)
    }

    /// The snapshots of a volume, the oldest first.
    pub(crate) async fn snapshots_of(&self, volume: &str) -> Result<Vec<Snapshot>> {
        let all = call("/snapshots/detail".into()).query("sort", "created_at:asc,id:asc");
        let of = all.clone().query("volume_id", volume);
        let mut found: Vec<Snapshot> = match pages(self, &of, "snapshots").await {
            Err(error) if is_filter(&error) => pages(self, &all, "snapshots").await?,
            other => other?,
        };
        found.retain(|it| it.volume_id == volume);
        Ok(found)
    }

    pub(crate) async fn create_snapshot(
        &self,
        volume: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Snapshot> {
        let mut body = json!({ "snapshot": {
            "volume_id": volume,
            "name": name,
            "metadata": metadata,
        } });
        if !self.speaks(Service::Volume, NO_FORCE).await? {
            body["snapshot"]["force"] = true.into();
        }
        self.send(post("/snapshots".into(), body))
            .await?
            .read("snapshot")
    }

    pub(crate) async fn delete_snapshot(&self, snapshot: &str) -> Result<()> {
        let path = format!("/snapshots/{}", id(snapshot)?);
        self.send(Call::delete(Service::Volume, path))
            .await
            .map(drop)
    }

    pub(crate) async fn rename_snapshot(&self, snapshot: &str, name: &str) -> Result<()> {
        let path = format!("/snapshots/{}", id(snapshot)?);
        let body = json!({ "snapshot": { "name": name } });
        let call = Call::new(Service::Volume, reqwest::Method::PUT, path);
        self.send(call.json(body, "application/json"))
            .await
            .map(drop)
    }

    pub(crate) async fn volume_limits(&self) -> Result<Absolute> {
        #[derive(Deserialize)]
        struct Limits {
            absolute: Absolute,
        }
        let limits: Limits = self.send(call("/limits".into())).await?.read("limits")?;
        Ok(limits.absolute)
    }

    /// Adds metadata to a volume or snapshot, and leaves its other metadata.
    pub(crate) async fn add_metadata(
        &self,
        kind: &str,
        of: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = format!("/{kind}/{}/metadata", id(of)?);
        self.send(post(path, json!({ "metadata": metadata })))
            .await
            .map(drop)
    }

    /// Has a volume's bytes written to a new image; gives the image's id.
    pub(crate) async fn upload(&self, volume: &str, image: &str) -> Result<String> {
        let body = json!({ "os-volume_upload_image": {
            "image_name": image,
            "disk_format": "raw",
            "container_format": "bare",
        } });
        let path = format!("/volumes/{}/action", id(volume)?);
        let reply = self.send(post(path, body)).await?;
        let made = reply.body["os-volume_upload_image"]["image_id"].as_str();
        made.map(ToOwned::to_owned).ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "Cinder names no image that it makes",
            )
            .leaving(stillpoint_core::World::Unknown)
        })
    }
}

impl Volume {
    /// A property of the image that it was made of.
    pub(crate) fn image_property(&self, name: &str) -> Option<&str> {
        self.image.get(name).map(String::as_str)
    }

    /// The servers that have it attached.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &str> {
        self.attachments
            .iter()
            .filter_map(|it| it.server_id.as_deref())
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status.starts_with("error")
    }
}

impl Snapshot {
    pub(crate) fn has_failed(&self) -> bool {
        self.status.starts_with("error")
    }
}

/// Which filters a user may give is the deployer's choice, so we must do without.
fn is_filter(error: &Error) -> bool {
    error.kind() == ErrorKind::Invalid && error.message().to_ascii_lowercase().contains("filter")
}
