//! Whether a new instance can be had of a snapshot, before a volume is made for it.

use stillpoint_core::{ResourceKind, ResourceRef, Result};

use crate::cloud::{Cloud, found};
use crate::launch::{Launch, Networks};

pub(crate) const NO_FLAVOR: &str = "nobody says which flavor a new instance is to have: the \
    snapshot remembers none; give the provider a Launch with one";

/// What is said of something that a new instance needs and that is not there.
pub(crate) fn gone(what: &str, which: &str) -> String {
    format!(
        "there is no {what} `{which}` for a new instance; give the provider a Launch with one \
         that exists"
    )
}

impl Cloud {
    /// What stands in the way of an instance that boots from this snapshot or image.
    pub(crate) async fn launch_blocked_by(&self, boots: &ResourceRef) -> Result<Vec<String>> {
        let Some(launch) = self.launch_of(boots).await? else {
            // That it is gone is seen by whoever looks at it.
            return Ok(Vec::new());
        };
        let mut blocked = Vec::new();
        match &launch.flavor {
            None => blocked.push(NO_FLAVOR.to_owned()),
            Some(flavor) if self.session.flavor(flavor).await?.is_none() => {
                blocked.push(gone("flavor", flavor));
            }
            Some(_) => {}
        }
        if let Some(Networks::These(networks)) = &launch.networks {
            for network in networks {
                if !self.session.has_network(network).await? {
                    blocked.push(gone("network", network));
                }
            }
        }
        if let Some(key_pair) = &launch.key_pair
            && !self.session.has_key_pair(key_pair).await?
        {
            blocked.push(gone("key pair", key_pair));
        }
        Ok(blocked)
    }

    async fn launch_of(&self, boots: &ResourceRef) -> Result<Option<Launch>> {
        let said = self.launch.clone();
        let id = self.id(boots, boots.kind())?;
        Ok(match boots.kind() {
            ResourceKind::Image => found(self.session.image(id).await)?
                .map(|image| said.or(|mark| image.property(mark))),
            _ => found(self.session.snapshot(id).await)?
                .map(|snapshot| said.or(|mark| Some(snapshot.metadata.get(mark)?.as_str()))),
        })
    }
}
