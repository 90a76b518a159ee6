//! Compute API v2.1: <https://docs.openstack.org/api-ref/compute/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use stillpoint_core::{ErrorKind, Result};

use super::{Identified, id, pages};
use crate::cloud::found;
use crate::config::Service;
use crate::session::{Call, Session};
use crate::version::Version;

/// From here on a volume can be kept when its server is deleted.
pub(crate) const KEEP_VOLUMES: Version = Version::new(2, 85);

/// From here on the reply to createImage names the image.
const NAMES_IMAGE: Version = Version::new(2, 45);

/// From here on a volume is attached with a tag.
const TAGGED_ATTACH: Version = Version::new(2, 49);

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) id: String,
    /// Nova does not know it while it cannot reach the server's cell.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) created: Option<String>,
    pub(crate) updated: Option<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// An object where it booted from an image, an empty text where from a volume.
    #[serde(default)]
    pub(crate) image: Value,
    #[serde(default)]
    pub(crate) flavor: Flavor,
    pub(crate) key_name: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    pub(crate) task: Option<String>,
    #[serde(rename = "OS-EXT-STS:power_state")]
    pub(crate) power: Option<i64>,
    #[serde(default)]
    pub(crate) fault: Value,
    #[serde(default)]
    addresses: BTreeMap<String, Vec<Address>>,
    #[serde(default, rename = "os-extended-volumes:volumes_attached")]
    told: Vec<Told>,
}

#[derive(Clone, Debug, Deserialize)]
struct Address {
    addr: String,
    #[serde(rename = "OS-EXT-IPS:type")]
    sort: Option<String>,
}

/// How a server is on a network.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Port {
    #[serde(rename = "port_id")]
    pub(crate) id: String,
    #[serde(rename = "net_id")]
    network: String,
    #[serde(default, rename = "fixed_ips")]
    pub(crate) fixed: Vec<Fixed>,
    /// From 2.70 on.
    pub(crate) tag: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fixed {
    #[serde(rename = "ip_address")]
    pub(crate) address: String,
}

/// As it stands in a server from 2.47 on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Flavor {
    pub(crate) original_name: Option<String>,
    /// GiB.
    pub(crate) disk: u64,
    /// GiB.
    pub(crate) ephemeral: u64,
    /// MiB.
    pub(crate) swap: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Attached {
    #[serde(rename = "volumeId")]
    pub(crate) volume: String,
    pub(crate) device: Option<String>,
    pub(crate) tag: Option<String>,
    /// From 2.79 on.
    pub(crate) delete_on_termination: Option<bool>,
}

/// A volume as its server tells of it, from 2.3 on.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    id: String,
    delete_on_termination: Option<bool>,
}

impl Identified for Server {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct FlavorId {
    id: String,
    name: String,
}

impl Identified for FlavorId {
    fn id(&self) -> &str {
        &self.id
    }
}

fn get(path: String) -> Call {
    Call::get(Service::Compute, path)
}

impl Session {
    pub(crate) async fn server(&self, server: &str) -> Result<Server> {
        let call = get(format!("/servers/{}", id(server)?));
        self.send(call).await?.read("server")
    }

    pub(crate) async fn servers(&self) -> Result<Vec<Server>> {
        let call = get("/servers/detail".into())
            .query("sort_key", "created_at")
            .query("sort_dir", "asc");
        pages(self, &call, "servers").await
    }

    pub(crate) async fn attached(&self, server: &str) -> Result<Vec<Attached>> {
        let call = get(format!("/servers/{}/os-volume_attachments", id(server)?));
        self.send(call).await?.read("volumeAttachments")
    }

    /// The networks that a server has ports on.
    pub(crate) async fn networks(&self, server: &str) -> Result<Vec<String>> {
        let ports = self.ports(server).await?;
        Ok(ports.into_iter().map(|port| port.network).collect())
    }

    pub(crate) async fn ports(&self, server: &str) -> Result<Vec<Port>> {
        let call = get(format!("/servers/{}/os-interface", id(server)?));
        self.send(call).await?.read("interfaceAttachments")
    }

    /// The id of a flavor by its id or name.
    pub(crate) async fn flavor(&self, wanted: &str) -> Result<Option<String>> {
        let call = get("/flavors".into());
        let all: Vec<FlavorId> = pages(self, &call, "flavors").await?;
        let by_id = all.iter().find(|it| it.id == wanted);
        let found = by_id.or_else(|| all.iter().find(|it| it.name == wanted));
        Ok(found.map(|it| it.id.clone()))
    }

    /// Whether the user has a key pair of that name; so, too, where it is no name to ask for.
    pub(crate) async fn has_key_pair(&self, name: &str) -> Result<bool> {
        let Ok(name) = id(name) else {
            return Ok(true);
        };
        let asked = self.send(get(format!("/os-keypairs/{name}"))).await;
        Ok(found(asked)?.is_some())
    }

    /// Whether there is a network of that id, as far as the cloud has a Neutron to ask.
    pub(crate) async fn has_network(&self, network: &str) -> Result<bool> {
        let Ok(network) = id(network) else {
            return Ok(false);
        };
        let path = format!("/v2.0/networks/{network}");
        match self.send(Call::get(Service::Network, path)).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(true),
            asked => Ok(found(asked)?.is_some()),
        }
    }

    /// Makes a server; gives its id.
    pub(crate) async fn create_server(&self, body: Value) -> Result<String> {
        #[derive(Deserialize)]
        struct Made {
            id: String,
        }
        let call = Call::post(Service::Compute, "/servers", json!({ "server": body }));
        let made: Made = self.send(call).await?.read("server")?;
        Ok(made.id)
    }

    pub(crate) async fn delete_server(&self, server: &str) -> Result<()> {
        let path = format!("/servers/{}", id(server)?);
        self.send(Call::delete(Service::Compute, path))
            .await
            .map(drop)
    }

    /// Has a server do something: an object whose only name is that of the action.
    pub(crate) async fn act_with(&self, server: &str, action: Value) -> Result<()> {
        let path = format!("/servers/{}/action", id(server)?);
        self.send(Call::post(Service::Compute, path, action))
            .await
            .map(drop)
    }

    /// Has the root disk of a server written to a new image; gives the image's id.
    pub(crate) async fn create_image(
        &self,
        server: &str,
        name: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Option<String>> {
        let path = format!("/servers/{}/action", id(server)?);
        let body = json!({ "createImage": { "name": name, "metadata": metadata } });
        let call = Call::post(Service::Compute, path, body).slow();
        let named = self.speaks(Service::Compute, NAMES_IMAGE).await?;
        let reply = self.send(call).await?;
        if named {
            return Ok(reply.body["image_id"].as_str().map(ToOwned::to_owned));
        }
        // Glance's address of the image, of which only the last part is right.
        let location = reply
            .headers
            .get("location")
            .and_then(|it| it.to_str().ok());
        let last = location.and_then(|it| it.rsplit('/').next());
        Ok(last.map(ToOwned::to_owned))
    }

    pub(crate) async fn attach(&self, server: &str, volume: &str, tag: &str) -> Result<()> {
        let mut body = json!({ "volumeAttachment": { "volumeId": volume } });
        if self.speaks(Service::Compute, TAGGED_ATTACH).await? {
            body["volumeAttachment"]["tag"] = tag.into();
        }
        let path = format!("/servers/{}/os-volume_attachments", id(server)?);
        self.send(Call::post(Service::Compute, path, body))
            .await
            .map(drop)
    }

    pub(crate) async fn detach(&self, server: &str, volume: &str) -> Result<()> {
        let path = format!(
            "/servers/{}/os-volume_attachments/{}",
            id(server)?,
            id(volume)?
        );
        self.send(Call::delete(Service::Compute, path))
            .await
            .map(drop)
    }

    /// Lets a volume outlive its server.
    pub(crate) async fn keep(&self, server: &str, volume: &str) -> Result<()> {
        let path = format!(
            "/servers/{}/os-volume_attachments/{}",
            id(server)?,
            id(volume)?
        );
        let body = json!({ "volumeAttachment": {
            "volumeId": volume,
            "delete_on_termination": false,
        } });
        let call = Call::new(Service::Compute, reqwest::Method::PUT, path);
        self.send(call.json(body, "application/json"))
            .await
            .map(drop)
    }

    pub(crate) async fn add_server_metadata(
        &self,
        server: &str,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = format!("/servers/{}/metadata", id(server)?);
        let call = Call::post(Service::Compute, path, json!({ "metadata": metadata }));
        self.send(call).await.map(drop)
    }
}

impl Server {
    /// The image that it booted from, where it did not from a volume.
    pub(crate) fn image_id(&self) -> Option<&str> {
        self.image["id"].as_str()
    }

    /// Whether Nova deletes this volume with it, as far as it tells.
    pub(crate) fn takes_along(&self, volume: &str) -> Option<bool> {
        let told = self.told.iter().find(|it| it.id == volume)?;
        told.delete_on_termination
    }

    /// The addresses that lead to it and are not its ports' own.
    pub(crate) fn floating(&self) -> impl Iterator<Item = &str> {
        let all = self.addresses.values().flatten();
        all.filter(|it| it.sort.as_deref() == Some("floating"))
            .map(|it| it.addr.as_str())
    }

    /// Whether it boots from this one of its volumes.
    pub(crate) fn boots_from(&self, volume: &str, attached: &[Attached]) -> bool {
        let first = attached.iter().min_by_key(|it| it.order());
        self.image_id().is_none() && first.is_some_and(|it| it.volume == volume)
    }

    /// Whether nothing of it writes.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.status.as_str(), "SHUTOFF" | "SHELVED" | "SHELVED_OFFLOADED")
            && self.task.is_none()
            // 4: shut down; 0: nobody has asked the hypervisor yet.
            && matches!(self.power, None | Some(0 | 4))
    }

    /// Whether Nova cannot reach what knows more of it than its id.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        self.status == "UNKNOWN"
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.status == "ERROR"
    }

    /// Why it failed, in Nova's words.
    pub(crate) fn why(&self) -> &str {
        self.fault["message"]
            .as_str()
            .unwrap_or("Nova does not say why")
    }
}

impl Attached {
    /// What it is called on its server: its tag, or else the last part of its device.
    pub(crate) fn name(&self) -> String {
        let device = || self.device.as_deref()?.rsplit('/').next();
        let tag = self.tag.as_deref().filter(|tag| !tag.is_empty());
        tag.or_else(device).unwrap_or(&self.volume).to_owned()
    }

    /// What to sort by: `vdb` comes before `vdaa`.
    pub(crate) fn order(&self) -> (usize, String) {
        let device = self.device.clone().unwrap_or_default();
        (device.len(), device)
    }
}
