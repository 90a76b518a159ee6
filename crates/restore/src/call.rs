//! What a plan asks the outside world for, in one shape for every kind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One intended effect of a plan: what a record is about and what a key names.
///
/// Attempts are no part of it: the second attempt intends the effect of the first.
/// A call is small and `Copy`; [`Plan::describe`](crate::Plan::describe) gives its words and
/// [`Machine::key`](crate::Machine::key) its durable key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Acquire a bracket: take the lock, freeze, power off.
    Acquire(BracketIx),
    /// Do a step.
    Do(StepIx),
    /// Release a bracket.
    Release(BracketIx),
    /// Remove something that a step made and that nobody adopts: a twin that a late effect made,
    /// what a failed attempt left behind, the result of a group's earlier round.
    Sweep {
        /// The step that made it.
        step: StepIx,
        /// Which of them, counted from 0; [`Machine::extra`](crate::Machine::extra) gives its output.
        extra: u32,
    },
    /// Undo a step that was done.
    Undo(StepIx),
}

impl Call {
    /// The step this is about, unless it is about a bracket.
    pub fn step(self) -> Option<StepIx> {
        match self {
            Self::Do(step) | Self::Undo(step) | Self::Sweep { step, .. } => Some(step),
            Self::Acquire(_) | Self::Release(_) => None,
        }
    }

    /// The bracket this is about, unless it is about a step.
    pub fn bracket(self) -> Option<BracketIx> {
        match self {
            Self::Acquire(bracket) | Self::Release(bracket) => Some(bracket),
            Self::Do(_) | Self::Undo(_) | Self::Sweep { .. } => None,
        }
    }

    /// `acquire`, `do`, `release`, `sweep` or `undo`: the word in keys and messages.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Acquire(_) => "acquire",
            Self::Do(_) => "do",
            Self::Release(_) => "release",
            Self::Sweep { .. } => "sweep",
            Self::Undo(_) => "undo",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire(bracket) | Self::Release(bracket) => {
                write!(f, "{} bracket {}", self.verb(), bracket.0)
            }
            Self::Do(step) | Self::Undo(step) => write!(f, "{} step {}", self.verb(), step.0),
            Self::Sweep { step, extra } => write!(f, "sweep extra {extra} of step {}", step.0),
        }
    }
}

/// The place of a step in its plan, from 0. It means nothing in another plan.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct StepIx(pub(crate) u32);

impl StepIx {
    /// The place as a number, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The place of a bracket in its plan, from 0. It means nothing in another plan.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct BracketIx(pub(crate) u32);

impl BracketIx {
    /// The place as a number, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
