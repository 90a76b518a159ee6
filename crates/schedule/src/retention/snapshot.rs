//! What retention has to know of a snapshot.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What retention has to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its id, which no other has.
    pub id: String,
    /// What it is of. Rules such as the last seven hold for each source.
    pub source: String,
    /// The point in time that it holds.
    pub taken_at: Timestamp,
    /// The retention policy that it was taken under; `None` if someone took it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether it is any good.
    #[serde(default)]
    pub health: Health,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether someone said that it must stay.
    #[serde(default)]
    pub pinned: bool,
    /// When nobody wants it any more. Rules do not keep it beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The group that it was taken in and makes sense in only as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The snapshots that it cannot do without: its parent in a chain. Ids that the inventory does
    /// not have are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// What else needs it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_use: Vec<Use>,
}

/// Whether a snapshot is any good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It was not taken whole, or did not stand a test.
    Failed,
    /// The provider says that it was taken. Nobody has read it back.
    #[default]
    Unverified,
    /// It was read back, and is what was taken.
    Verified,
}

/// What needs a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Use {
    /// A volume or an image that shares its blocks.
    Clone {
        /// The clone's id.
        id: String,
    },
    /// A restore that is going on reads it.
    RestoreSource {
        /// The job's id.
        job: String,
    },
    /// A restore that can still be undone needs it for that.
    SafetySnapshot {
        /// The job's id.
        job: String,
    },
}

impl Snapshot {
    /// An unverified snapshot that someone took by hand.
    pub fn new(id: impl Into<String>, source: impl Into<String>, taken_at: Timestamp) -> Self {
        Self {
            id: id.into(),
            source: source.into(),
            taken_at,
            policy: None,
            health: Health::default(),
            labels: BTreeMap::new(),
            pinned: false,
            expires_at: None,
            group: None,
            depends_on: Vec::new(),
            in_use: Vec::new(),
        }
    }
}
