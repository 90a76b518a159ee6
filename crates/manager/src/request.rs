use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, JobId, Result};
use stillpoint_engine::{CustomRequest, Request};

/// The name that planner and executor are registered under.
pub const NAME: &str = "manager";

/// An archive to restore this manager from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RestoreManager {
    /// The archive's id in the depot. It need not be listed anywhere else.
    pub archive: String,
    /// Only these components; none: all that the archive holds.
    #[serde(default)]
    pub components: Option<Vec<String>>,
    /// Only these tenants, of components that can tell them apart; none: all.
    #[serde(default)]
    pub tenants: Option<Vec<String>>,
    /// Also over a manager that is not clean. What is there is captured first, and can be had again
    /// by an undo until the restore is accepted.
    #[serde(default)]
    pub danger_replace_what_is_there: bool,
}

/// A restore to take back, or to keep.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SettleManager {
    /// The restore's job.
    pub restore: JobId,
    /// Whether what was there before has its place again; else it is removed for good.
    pub undo: bool,
}

/// What the planner is asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    Restore(RestoreManager),
    Settle(SettleManager),
}

impl RestoreManager {
    /// Of all that an archive holds, to a clean manager.
    pub fn of(archive: impl Into<String>) -> Self {
        Self {
            archive: archive.into(),
            components: None,
            tenants: None,
            danger_replace_what_is_there: false,
        }
    }

    /// As a request to the engine.
    pub fn request(&self) -> Request {
        let title = format!("restore the manager from {}", self.archive);
        Wish::Restore(self.clone()).request(title)
    }
}

impl SettleManager {
    /// As a request to the engine.
    pub fn request(&self) -> Request {
        let verb = if self.undo { "undo" } else { "accept" };
        Wish::Settle(*self).request(format!("{verb} restore {} of the manager", self.restore))
    }
}

impl Wish {
    /// What a request asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where it is none of ours.
    pub(crate) fn of(request: &CustomRequest) -> Result<Self> {
        serde_json::from_value(request.body.clone()).map_err(|source| {
            Error::new(ErrorKind::Invalid, "this is no request to the manager")
                .advise("Make it by RestoreManager or SettleManager")
                .because(source)
        })
    }

    fn request(&self, title: String) -> Request {
        Request::Custom(CustomRequest {
            planner: NAME.to_owned(),
            title,
            body: serde_json::to_value(self).expect("plain data with text for keys"),
        })
    }
}
