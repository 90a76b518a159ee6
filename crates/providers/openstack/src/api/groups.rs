//! Groups of volumes in the Block Storage API, from 3.25 on (which lists a group's volumes).

use serde::Deserialize;
use serde_json::{Value, json};
use stillpoint_core::{Result, World};

use super::cinder::{Snapshot, Volume};
use super::id;
use crate::cloud::found;
use crate::config::Service;
use crate::session::{Call, Session};
use crate::version::Version;

const LISTS_VOLUMES: Version = Version::new(3, 25);

/// What a group's type has where its volumes are taken at one instant.
const CONSISTENT: &str = "consistent_group_snapshot_enabled";

#[derive(Deserialize)]
struct Group {
    group_type: String,
    #[serde(default)]
    volumes: Vec<String>,
}

#[derive(Deserialize)]
struct GroupType {
    /// Administrators see them, and whom the deployer lets.
    #[serde(default)]
    group_specs: Value,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

impl Session {
    /// The group that has just these volumes and is taken at one instant, where there is one and
    /// we may see that it is.
    pub(crate) async fn consistent_group(&self, volumes: &[Volume]) -> Result<Option<String>> {
        let Some(group) = volumes.first().and_then(|it| it.group_id.clone()) else {
            return Ok(None);
        };
        let same = |it: &Volume| it.group_id.as_ref() == Some(&group);
        if volumes.len() < 2
            || !volumes.iter().all(same)
            || !self.speaks(Service::Volume, LISTS_VOLUMES).await?
        {
            return Ok(None);
        }
        let call = Call::get(Service::Volume, format!("/groups/{}", id(&group)?));
        let call = call.query("list_volume", "true");
        let there: Group = self.send(call).await?.read("group")?;
        if there.volumes.len() != volumes.len() {
            return Ok(None);
        }
        let path = format!("/group_types/{}", id(&there.group_type)?);
        let call = Call::get(Service::Volume, path);
        let kind: Option<GroupType> = match found(self.send(call).await)? {
            Some(reply) => Some(reply.read("group_type")?),
            None => None,
        };
        let consistent = kind.is_some_and(|it| it.group_specs[CONSISTENT] == "<is> True");
        Ok(consistent.then_some(group))
    }

    /// Takes all volumes of a group at once; gives the snapshots of each.
    pub(crate) async fn take_group(&self, group: &str, name: &str) -> Result<Vec<Snapshot>> {
        let body = json!({ "group_snapshot": { "group_id": group, "name": name } });
        let call = Call::post(Service::Volume, "/group_snapshots", body);
        let made: Made = self.send(call).await?.read("group_snapshot")?;
        let members = self.members(&made.id).await;
        members.map_err(|error| error.leaving(World::Unknown))
    }

    /// The snapshots that a group snapshot is made of.
    pub(crate) async fn members(&self, group_snapshot: &str) -> Result<Vec<Snapshot>> {
        let mut all = self.snapshots().await?;
        all.retain(|it| it.group_snapshot_id.as_deref() == Some(group_snapshot));
        Ok(all)
    }

    pub(crate) async fn delete_group_snapshot(&self, group_snapshot: &str) -> Result<()> {
        let path = format!("/group_snapshots/{}", id(group_snapshot)?);
        self.send(Call::delete(Service::Volume, path))
            .await
            .map(drop)
    }
}
