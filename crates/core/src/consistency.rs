use std::fmt;

use serde::{Deserialize, Serialize};

/// How good the point in time is that a snapshot holds, weakest first.
///
/// The order is the ladder: `PerVolume < Crash < Filesystem < Application`. That an instance was powered off
/// is [`Capture::Offline`]: a *how*, which reaches [`Consistency::Filesystem`], not a level above.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Consistency {
    /// Each volume is as if the power had been cut, but each at an instant of its own: what an
    /// application keeps on several of them may not fit together. The least there is, and all
    /// that a system without atomic groups gives of a source that runs and is not frozen.
    #[default]
    PerVolume,
    /// As if the power had been cut: all volumes are of one instant, nothing was flushed.
    Crash,
    /// File systems were flushed and frozen, or nothing wrote to them.
    Filesystem,
    /// The applications inside took part, for example through a guest agent's hooks.
    Application,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crash => "Crash",
            Self::Filesystem => "Filesystem",
            Self::PerVolume => "PerVolume",
            Self::Application => "Application",
        })
    }
}

/// What was preferred, what was demanded, and what was reached.
///
/// Reached is never below demanded: a request that cannot reach its minimum is refused before it
/// changes anything.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ConsistencyRecord {
    /// The level asked for, if it can be had.
    pub preferred: Consistency,
    /// The least level accepted.
    pub demanded: Consistency,
    /// The level of the snapshot as taken; none until it is taken.
    pub reached: Option<Consistency>,
    /// Whether the source ran meanwhile; none until it is taken.
    pub capture: Option<Capture>,
}

/// Whether the source was running when the point in time was fixed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capture {
    /// The source ran, or may have run.
    Live,
    /// The source was powered off, or nothing had it open for writing.
    Offline,
}

/// What a snapshot can hold of an instance's memory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Memory {
    /// A dump to look at, from which nothing can resume (KubeVirt's memory dump).
    ForensicDump,
    /// No memory.
    #[default]
    No,
    /// Memory of the same instant as the disks, from which the instance resumes.
    Resumable,
}
