use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The manager's first user; 4.2 to 6.4.
#[derive(Clone, Deserialize)]
pub struct AdminAccount {
    /// Their name.
    pub username: String,
    /// Their password's hash.
    pub password: SecretString,
    /// Their token; up to 6.3.
    #[serde(default)]
    pub api_token_key: Option<SecretString>,
}

impl fmt::Debug for AdminAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminAccount")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The networks of the manager; 4.2 to 6.4.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Networks {
    /// Networks that agents use.
    #[serde(default)]
    pub active_networks: Vec<String>,
    /// The manager's address in each.
    #[serde(default)]
    pub networks: BTreeMap<String, String>,
}

/// A file somebody uploaded: a plugin, a blueprint, a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// Whose it is; before 4.1, and for plugins before 7.0, not told by the path.
    pub tenant: Option<String>,
    /// Its id.
    pub id: String,
    /// Where it is in the snapshot: a file, or the folder of an unpacked blueprint.
    pub path: String,
}

/// Entities of one type, as one file holds them; 7.0 and later.
#[derive(Clone, Debug, PartialEq)]
pub struct Entities {
    /// The file.
    pub path: String,
    /// Their tenant; `None` for the manager's own.
    pub tenant: Option<String>,
    /// Their type, such as `blueprints`.
    pub kind: String,
    /// What kind of thing they belong to, for events.
    pub source: Option<String>,
    /// What they belong to: a deployment or an execution.
    pub source_id: Option<String>,
    /// All other keys of the envelope but `items`.
    pub more: Map<String, Value>,
    /// The entities.
    pub items: Vec<Value>,
}

/// An envelope as it is written.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) source_id: Option<String>,
    pub(super) items: Vec<Value>,
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}
