//! The steps of captures and restores: each may be begun again at any time under its key, and finds
//! what it had done.

mod account;
mod capture;
mod discard;
mod fetch;
mod patience;
pub(crate) mod place;
pub(crate) mod settle;
mod window;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stillpoint_core::{Digest, Error, ErrorKind, Result};
use stillpoint_engine::background::{Failed, Line, Stop, blocking};
use stillpoint_engine::{Action, CustomWork, ManagerWork};
use stillpoint_iaas::OperationKey;

use crate::manager::Inner;
use crate::request::{NAME, RestoreManager};
use crate::site::Site;

/// What a step does, as data.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Fail where something was noted that had no place here.
    Account { components: Vec<String> },
    /// Look again, with everything locked, whether something stands in the way.
    Check { restore: Box<RestoreManager> },
    /// Put what was kept in its place again.
    CutBack { kept: Kept },
    /// Put what was staged in the place of what is there.
    CutOver {
        components: Vec<String>,
        safety: String,
    },
    /// Let those outside find again what was put back.
    FailBack { kept: Kept, component: String },
    /// Bring the archive here.
    Fetch { archive: String, bound: Bound },
    /// Remove what was kept.
    Forget { kept: Kept },
    /// Lock one level.
    Lock { level: usize },
    /// Work on the manager as the engine asks for it.
    #[serde(skip)]
    OfEngine(ManagerWork),
    /// Let those outside find the new one.
    Reconnect { component: String },
    /// Capture what is there, with everything locked already.
    Safeguard { name: String },
    /// Make a component ready beside what is there.
    Stage {
        archive: String,
        bound: Bound,
        component: String,
        tenants: Option<Vec<String>>,
    },
    /// Remove what is on its way: all of it, or what is needed no more once it has arrived.
    Tidy { all: bool },
    /// Unlock one level.
    Unlock { level: usize },
    /// Remove what a safeguard captured.
    Unsafeguard { name: String },
    /// Remove what was staged.
    Unstage { component: String },
    /// Check that it works.
    Validate { component: String },
    /// Read all of the archive.
    Verify { archive: String, bound: Bound },
}

/// Which archive a plan was made with: another in its place is refused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Bound {
    /// The root of its manifest; none: it has no manifest, since Cloudify wrote it.
    pub(crate) root: Option<Digest>,
    /// That of all its bytes.
    pub(crate) sha256: Digest,
}

/// What a restore has cut over, and kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Kept {
    /// The token of the restore's job.
    pub(crate) token: String,
    /// The components, in the order in which they were cut over.
    pub(crate) components: Vec<String>,
    /// The archive of what was there before.
    pub(crate) safety: String,
}

/// A piece of work under way.
pub(crate) struct Task {
    pub(crate) inner: Arc<Inner>,
    /// Who locks: the job.
    pub(crate) token: String,
    pub(crate) stop: Stop,
    pub(crate) line: Line,
}

impl Work {
    /// The step's action, with the bytes it moves.
    pub(crate) fn action(&self, bytes: u64) -> Action {
        Action::Custom {
            executor: NAME.to_owned(),
            body: serde_json::to_value(self).expect("plain data with text for keys"),
            inputs: Vec::new(),
            bytes,
        }
    }

    /// Reads the action back.
    pub(crate) fn of(work: &CustomWork) -> Result<Self> {
        if let Ok(asked) = ManagerWork::of(work) {
            return Ok(Self::OfEngine(asked));
        }
        serde_json::from_value(work.body.clone()).map_err(|source| {
            Error::new(ErrorKind::Corrupt, "a step's work cannot be read")
                .advise("If a later version made the plan, use that")
                .because(source)
        })
    }

    /// Does it, or finds it done.
    pub(crate) async fn run(
        self,
        inner: Arc<Inner>,
        key: OperationKey,
        line: Line,
    ) -> Result<Value, Failed> {
        let task = Task {
            inner,
            token: token(key.as_str()),
            stop: line.stop().clone(),
            line,
        };
        match self {
            Self::Account { components } => Ok(task.account(&components).await?),
            Self::Check { restore } => Ok(task.check(&restore).await?),
            Self::CutBack { kept } => Ok(task.cut_back(kept).await?),
            Self::CutOver { components, safety } => {
                let token = task.token.clone();
                let kept = Kept {
                    token,
                    components,
                    safety,
                };
                Ok(task.cut_over(kept).await?)
            }
            Self::FailBack { kept, component } => Ok(task.fail_back(&kept, component).await?),
            Self::Fetch { archive, bound } => task.fetch(&archive, bound).await,
            Self::Forget { kept } => Ok(task.forget(kept).await?),
            Self::Lock { level } => Ok(task
                .with_locks(move |inner, holder| inner.lock_level(level, holder))
                .await?),
            Self::OfEngine(ManagerWork::Capture { name }) => {
                task.capture(&name, key.as_str()).await
            }
            Self::OfEngine(ManagerWork::Discard { captured }) => {
                Ok(task.discard(&captured).await?)
            }
            Self::Reconnect { component } => Ok(task.reconnect(component).await?),
            Self::Safeguard { name } => task.safeguard(&name, key.as_str()).await,
            Self::Stage {
                archive,
                bound,
                component,
                tenants,
            } => task.stage(archive, bound, component, tenants).await,
            Self::Tidy { all: true } => Ok(task.tidy().await?),
            Self::Tidy { all: false } => Ok(task.tidy_fetched().await?),
            Self::Unlock { level } => Ok(task
                .with_locks(move |inner, holder| inner.unlock_level(level, holder))
                .await?),
            Self::Unsafeguard { name } => Ok(task.patiently(|| task.remove_archive(&name)).await?),
            Self::Unstage { component } => Ok(task.patiently(|| task.unstage(&component)).await?),
            Self::Validate { component } => Ok(task.validate(component).await?),
            Self::Verify { archive, bound } => Ok(task.verify(archive, bound).await?),
        }
    }
}

impl Task {
    /// The folder that everything of the job is in while it is on its way.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder_of(&self.token)
    }

    /// That of another job.
    pub(crate) fn folder_of(&self, token: &str) -> PathBuf {
        self.inner.staging.join(format!(".stillpoint-{token}"))
    }

    /// Where a component works for this job.
    pub(crate) fn site(&self, component: &str) -> Site {
        self.site_of(&self.token, component)
    }

    /// Where a component worked for another job.
    pub(crate) fn site_of(&self, token: &str, component: &str) -> Site {
        let folder = self.folder_of(token).join(component);
        Site::new(token, folder, self.stop.clone())
    }

    async fn with_locks(
        &self,
        does: impl FnOnce(&Inner, &str) -> Result<()> + Send + 'static,
    ) -> Result<Value> {
        let (inner, token) = (Arc::clone(&self.inner), self.token.clone());
        blocking(move || does(&inner, &token)).await?;
        Ok(Value::Null)
    }
}

/// All keys of a job begin with its id, a UUID whose last digits are random.
pub(crate) fn token(key: &str) -> String {
    let job = key.split('.').next().unwrap_or_default();
    let digits: String = job.chars().filter(char::is_ascii_alphanumeric).collect();
    let from = digits.len().saturating_sub(12);
    digits[from..].to_owned()
}
