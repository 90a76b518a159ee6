use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::snapshot::Snapshot;
use super::{Era, Files};
use crate::{Refusal, Result};

/// An agent on a host that the manager controls.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its tenant; before 4.1 there were none.
    pub tenant: Option<String>,
    /// The deployment it belongs to.
    pub deployment: Option<String>,
    /// The node it belongs to.
    pub node: Option<String>,
    /// The node instance it runs on.
    pub instance: String,
    /// Its version.
    pub version: Option<String>,
    /// How it reaches the manager; empty from 7.0 on, where it stands with the node instances.
    pub broker: Broker,
}

/// The message broker agents talk to.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Broker {
    /// Its addresses: one, or all of a cluster.
    #[serde(rename = "broker_ip", deserialize_with = "one_or_many")]
    pub addresses: Vec<String>,
    /// Its port, where it is not the usual one.
    #[serde(rename = "broker_port")]
    pub port: Option<u16>,
    /// The user to log in as; up to 4.0.
    #[serde(rename = "broker_user")]
    pub user: Option<String>,
    /// The password to log in with; up to 4.0.
    #[serde(rename = "broker_pass")]
    pub password: Option<SecretString>,
    /// Whether it speaks TLS.
    #[serde(rename = "broker_ssl_enabled")]
    pub tls: bool,
    /// The certificate it is known by, PEM.
    #[serde(rename = "broker_ssl_cert")]
    pub certificate: Option<String>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("addresses", &self.addresses)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Up to 4.6 a string, later a list.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<String>),
        None(()),
        One(String),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(addresses) => addresses,
        OneOrMany::None(()) => Vec::new(),
        OneOrMany::One(address) => vec![address],
    })
}

/// One agent in `agents.json`. Up to 3.3 the broker's keys stand beside the version.
#[derive(Deserialize)]
struct Old {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    broker_config: Option<Broker>,
    #[serde(flatten)]
    beside: Broker,
}

/// Instances by node by deployment.
type Deployments = BTreeMap<String, BTreeMap<String, BTreeMap<String, Old>>>;

/// Whether `agents.json` has a level for tenants, four in all.
pub(super) fn has_tenants(agents: &serde_json::Value) -> bool {
    let first = |value: &serde_json::Value| value.as_object()?.values().next().cloned();
    let leaf = first(agents)
        .as_ref()
        .and_then(first)
        .as_ref()
        .and_then(first);
    // With three levels this is an agent itself; its values are no objects but the broker's.
    match leaf.as_ref().and_then(|leaf| leaf.as_object()) {
        Some(leaf) => {
            !leaf.contains_key("version")
                && !leaf.contains_key("broker_config")
                && !leaf.contains_key("broker_ip")
        }
        None => false,
    }
}

pub(super) fn agents(snapshot: &Snapshot) -> Result<Vec<Agent>> {
    match snapshot.era() {
        Era::A | Era::B | Era::C => from_agents_json(snapshot.files()),
        Era::D | Era::E => from_entities(snapshot),
    }
}

fn from_agents_json(files: &Files) -> Result<Vec<Agent>> {
    const PATH: &str = "agents.json";
    if !files.contains(PATH) {
        return Ok(Vec::new());
    }
    let all: serde_json::Value = files.json(PATH)?;
    let bad = |e: serde_json::Error| {
        Refusal::BadDocument {
            what: "agents.json",
            why: e.to_string(),
        }
        .of(PATH)
    };
    let tenants: BTreeMap<Option<String>, Deployments> = match has_tenants(&all) {
        true => {
            let tenants: BTreeMap<String, Deployments> =
                serde_json::from_value(all).map_err(bad)?;
            tenants
                .into_iter()
                .map(|(tenant, rest)| (Some(tenant), rest))
                .collect()
        }
        false => BTreeMap::from([(None, serde_json::from_value(all).map_err(bad)?)]),
    };
    let mut agents = Vec::new();
    for (tenant, deployments) in tenants {
        for (deployment, nodes) in deployments {
            for (node, instances) in nodes {
                for (instance, old) in instances {
                    agents.push(Agent {
                        tenant: tenant.clone(),
                        deployment: Some(deployment.clone()),
                        node: Some(node.clone()),
                        instance,
                        version: old.version,
                        broker: old.broker_config.unwrap_or(old.beside),
                    });
                }
            }
        }
    }
    Ok(agents)
}

#[derive(Deserialize)]
struct New {
    node_instance_id: String,
    #[serde(default)]
    version: Option<String>,
}

fn from_entities(snapshot: &Snapshot) -> Result<Vec<Agent>> {
    let mut agents = Vec::new();
    for entities in snapshot
        .entities()?
        .into_iter()
        .filter(|e| e.kind == "agents")
    {
        for item in &entities.items {
            let new: New = serde_json::from_value(item.clone()).map_err(|e| {
                let why = format!("an agent: {e}");
                Refusal::BadDocument {
                    what: "the entities",
                    why,
                }
                .of(&*entities.path)
            })?;
            agents.push(Agent {
                tenant: entities.tenant.clone(),
                deployment: entities.source_id.clone(),
                node: None,
                instance: new.node_instance_id,
                version: new.version,
                broker: Broker::default(),
            });
        }
    }
    Ok(agents)
}
