//! What is applied: a schedule, with what it takes and what it keeps.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Consistency, Error, ErrorKind, Labels, Memory, ResourceRef, Result};
use stillpoint_schedule::retention::Keep;
use stillpoint_schedule::schedule::Pause;
use stillpoint_schedule::{RunKey, Schedule};
use stillpoint_state::MAX_BATCH_BYTES;

use super::select::Subject;
use crate::request::{Request, Scope, Take};
use crate::store::encode;

/// Longest name of a schedule, in bytes.
const MAX_NAME: usize = 63;

/// Most bytes of a spec: each of its runs is written with it, and some in one batch.
const MAX_SPEC: usize = MAX_BATCH_BYTES / 4;

/// A schedule as its owner writes it: of what, when, how, and what is kept of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Its name: 1 to 63 of `a-z A-Z 0-9 - _ .`. It is the schedule's identity: whoever applies
    /// another spec of this name changes that schedule.
    pub name: String,
    /// What it takes.
    pub of: Subject,
    /// When, and what happens to runs that were missed, overlap, or come all at once.
    pub when: Schedule,
    /// How each snapshot is taken.
    #[serde(default)]
    pub manner: TakeManner,
    /// What is kept of what it took; none: everything, until somebody deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// How old the last good snapshot of a resource may be before that is an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<SignedDuration>,
}

/// How a schedule takes its snapshots: the options of a [`Take`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TakeManner {
    /// What of the source.
    pub scope: Scope,
    /// The level wished for.
    pub prefer: Consistency,
    /// The least level accepted.
    pub at_least: Consistency,
    /// What to hold of memory.
    pub memory: Memory,
    /// Power instances off for as long as the work takes, and on after it; the time is for powering
    /// them on, an hour at least, before a person is asked. None: never.
    pub may_power_off: Option<Duration>,
    /// Free text of each snapshot.
    pub description: String,
    /// Labels of each snapshot, also set at the provider.
    pub labels: Labels,
    /// Whether the bytes are read back. What is not verified never counts as good.
    pub verify: bool,
}

impl ScheduleSpec {
    /// A schedule with no demands, no retention and no alarm.
    pub fn new(name: impl Into<String>, of: Subject, when: impl Into<Schedule>) -> Self {
        Self {
            name: name.into(),
            of,
            when: when.into(),
            manner: TakeManner::default(),
            keep: None,
            stale_after: None,
        }
    }

    /// Refuses what could never work, before anything is looked at.
    pub(crate) fn check(&self, now: jiff::Timestamp) -> Result<()> {
        check_name(&self.name)?;
        let invalid = |what: String| {
            Error::new(
                ErrorKind::Invalid,
                format!("schedule `{}`: {what}", self.name),
            )
        };
        if let Some(keep) = &self.keep {
            // What no plan can be made from is no policy.
            keep.plan(&self.name, &[], now)
                .map_err(|source| invalid(source.to_string()).because(source))?;
        }
        let bytes = encode(self)?.len();
        if bytes > MAX_SPEC {
            return Err(invalid(format!(
                "its spec has {bytes} bytes, and {MAX_SPEC} are the most"
            ))
            .advise("Select by a label instead of by name, or make several schedules of it"));
        }
        if self.stale_after.is_some_and(|after| !after.is_positive()) {
            return Err(invalid("it would be stale at once".into())
                .advise("Give stale_after some time, such as 26 hours"));
        }
        Ok(())
    }

    /// The schedule as it counts, given what its operators said.
    pub(crate) fn effective(&self, paused: Option<Pause>) -> Schedule {
        match paused {
            Some(pause) => self.when.clone().pause(pause),
            None => self.when.clone(),
        }
    }

    /// What a run asks for one resource: the same whenever it is asked, so that it is done once.
    pub(crate) fn request(&self, key: &RunKey, source: ResourceRef) -> Request {
        let wall = key.wall.strftime("%Y%m%d-%H%M%S");
        let pass = if key.second_pass { "-2" } else { "" };
        let name = format!("{}-{}-{wall}{pass}", self.name, source.id());
        let name: String = name.chars().take(MAX_NAME).collect();
        if let Subject::Manager(executor) = &self.of {
            return Request::Capture {
                executor: executor.clone(),
                name,
                schedule: Some(self.name.clone()),
            };
        }
        let manner = &self.manner;
        Request::Take(Take {
            scope: manner.scope,
            prefer: manner.prefer,
            at_least: manner.at_least,
            memory: manner.memory,
            may_power_off: manner.may_power_off,
            name: Some(name),
            description: manner.description.clone(),
            labels: manner.labels.clone(),
            verify: manner.verify,
            schedule: Some(self.name.clone()),
            ..Take::of(source)
        })
    }
}

/// Names are parts of keys, of snapshot names and of what people type.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let good = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(good) {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(Error::new(
        ErrorKind::Invalid,
        format!("`{}` is no name of a schedule", shown.escape_debug()),
    )
    .advise(format!(
        "Use 1 to {MAX_NAME} of a-z, A-Z, 0-9, `-`, `_` and `.`"
    )))
}

impl Default for TakeManner {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            prefer: Consistency::Crash,
            at_least: Consistency::Crash,
            memory: Memory::No,
            may_power_off: None,
            description: String::new(),
            labels: Labels::new(),
            verify: true,
        }
    }
}
