//! Image API v2: <https://docs.openstack.org/api-ref/image/v2/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use stillpoint_core::Result;

use super::{Identified, id, pages};
use crate::config::Service;
use crate::marks;
use crate::session::{Call, Session};

const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// What the properties begin with that services read.
const NOT_LABELS_OF: &[&str] = &["cinder_", "hw_", "img_", "os_", marks::PREFIX];

/// Properties that are Glance's or Nova's own, not labels.
const NOT_LABELS: &[&str] = &[
    "base_image_ref",
    "block_device_mapping",
    "bdm_v2",
    "boot_roles",
    "checksum",
    "container_format",
    "created_at",
    "deleted",
    "deleted_at",
    "direct_url",
    "disk_format",
    "file",
    "id",
    "image_location",
    "image_state",
    "image_type",
    "instance_uuid",
    "location",
    "locations",
    "min_disk",
    "min_ram",
    "name",
    "owner",
    "owner_id",
    "owner_project_name",
    "owner_user_name",
    "protected",
    "root_device_name",
    "schema",
    "self",
    "signature_verified",
    "size",
    "status",
    "stores",
    "tags",
    "updated_at",
    "user_id",
    "virtual_size",
    "visibility",
];

/// Whether a property of this name is a label, and nothing that a service reads.
pub(crate) fn is_label(name: &str) -> bool {
    let of = |prefix: &&str| name.starts_with(*prefix);
    !NOT_LABELS.contains(&name) && !NOT_LABELS_OF.iter().any(of)
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) status: String,
    pub(crate) size: Option<u64>,
    pub(crate) virtual_size: Option<u64>,
    /// GiB.
    #[serde(default)]
    pub(crate) min_disk: u64,
    pub(crate) created_at: Option<String>,
    /// A snapshot of a server with volumes: which volumes, as JSON in a text.
    pub(crate) block_device_mapping: Option<String>,
    #[serde(flatten)]
    pub(crate) properties: BTreeMap<String, Value>,
}

/// A disk in an image's mapping.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mapped {
    pub(crate) snapshot_id: Option<String>,
    /// GiB.
    pub(crate) volume_size: Option<u64>,
    pub(crate) boot_index: Option<i64>,
}

impl Identified for Image {
    fn id(&self) -> &str {
        &self.id
    }
}

fn get(path: String) -> Call {
    Call::get(Service::Image, path)
}

impl Session {
    pub(crate) async fn image(&self, image: &str) -> Result<Image> {
        let call = get(format!("/v2/images/{}", id(image)?));
        self.send(call).await?.read("")
    }

    /// The images that the project owns, the oldest first.
    pub(crate) async fn images(&self) -> Result<Vec<Image>> {
        let project = self.project().await?;
        let call = get("/v2/images".into())
            .query("owner", project)
            .query("sort", "created_at:asc,id:asc");
        pages(self, &call, "images").await
    }

    /// The images that carry this mark, the oldest first.
    pub(crate) async fn images_marked(&self, mark: &str, value: &str) -> Result<Vec<Image>> {
        let project = self.project().await?;
        let call = get("/v2/images".into())
            .query("owner", project)
            .query(mark, value)
            .query("sort", "created_at:asc,id:asc");
        let mut found: Vec<Image> = pages(self, &call, "images").await?;
        found.retain(|it| it.property(mark) == Some(value));
        Ok(found)
    }

    /// The project's images of that name, the oldest first.
    pub(crate) async fn images_named(&self, name: &str) -> Result<Vec<Image>> {
        let project = self.project().await?;
        let call = get("/v2/images".into())
            .query("owner", project)
            .query("name", name)
            .query("sort", "created_at:asc,id:asc");
        let mut found: Vec<Image> = pages(self, &call, "images").await?;
        found.retain(|it| it.name.as_deref() == Some(name));
        Ok(found)
    }

    /// Makes an image without bytes; gives its id.
    pub(crate) async fn create_image_of(
        &self,
        name: &str,
        format: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<String> {
        let mut body = json!({
            "name": name,
            "disk_format": format,
            "container_format": "bare",
            "visibility": "private",
        });
        for (name, value) in metadata {
            body[name] = value.as_str().into();
        }
        let call = Call::post(Service::Image, "/v2/images", body);
        let made: Image = self.send(call).await?.read("")?;
        Ok(made.id)
    }

    pub(crate) async fn delete_image(&self, image: &str) -> Result<()> {
        let path = format!("/v2/images/{}", id(image)?);
        self.send(Call::delete(Service::Image, path))
            .await
            .map(drop)
    }

    /// Sets properties of an image, and leaves its others.
    pub(crate) async fn set_properties(
        &self,
        image: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = format!("/v2/images/{}", id(image)?);
        let operations = properties.iter().map(|(name, value)| {
            // RFC 6901: `~` and `/` in a name are written as these.
            let name = name.replace('~', "~0").replace('/', "~1");
            json!({ "op": "add", "path": format!("/{name}"), "value": value })
        });
        let call = Call::new(Service::Image, reqwest::Method::PATCH, path);
        let call = call.json(Value::Array(operations.collect()), PATCH);
        self.send(call).await.map(drop)
    }
}

impl Image {
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Value)| {
            is_label(name).then(|| Some((name.clone(), value.as_str()?.to_owned())))?
        };
        self.properties.iter().filter_map(text).collect()
    }

    /// Bytes it holds, as a disk.
    pub(crate) fn disk_size(&self) -> u64 {
        const GIB: u64 = 1 << 30;
        let mapped = || {
            let boots = self
                .mapping()
                .into_iter()
                .find(|it| it.boot_index == Some(0))?;
            Some(boots.volume_size?.saturating_mul(GIB))
        };
        mapped()
            .or(self.virtual_size)
            .or(self.size.filter(|size| *size > 0))
            .unwrap_or(self.min_disk.saturating_mul(GIB))
    }

    /// The disks whose snapshots it names; none where it has bytes of its own.
    pub(crate) fn mapping(&self) -> Vec<Mapped> {
        let text = self.block_device_mapping.as_deref().unwrap_or("[]");
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether it never will be of use.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(
            self.status.as_str(),
            "killed" | "deleted" | "pending_delete" | "deactivated"
        )
    }
}
