use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a manager says of its snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotMetadata {
    /// The manager's version.
    pub snapshot_version: String,
    /// The execution that made the snapshot; from 7.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
    /// The database's alembic revision; from 4.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_revision: Option<String>,
    /// As written: old managers put log lines before it. See [`stage_revision`](Self::stage_revision).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_schema_revision: Option<String>,
    /// As written: managers up to 6.4 wrote a wrong one. See
    /// [`composer_revision`](Self::composer_revision).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composer_schema_revision: Option<String>,
    /// All other keys.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What managers wrote for the composer's revision, whatever it was,
const WRONG_COMPOSER: &str = "20170601133017-4_1-init.js";
/// and what their own restore takes instead.
const RIGHT_COMPOSER: &str = "20171229105614-4_3-blueprint-repo.js";

impl SnapshotMetadata {
    /// The user interface's schema revision, without the log lines before it.
    pub fn stage_revision(&self) -> Option<&str> {
        let written = self.stage_schema_revision.as_deref()?;
        Some(written.rsplit('\n').next().unwrap_or(written))
    }

    /// The composer's schema revision, as restoring needs it.
    pub fn composer_revision(&self) -> Option<&str> {
        match self.composer_schema_revision.as_deref()? {
            WRONG_COMPOSER => Some(RIGHT_COMPOSER),
            revision => Some(revision),
        }
    }
}
