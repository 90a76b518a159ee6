//! A bracket: something held around steps. A group: steps that restart together.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Name, Retry};

/// Something that is held while steps run: a lock, a freeze, power off.
///
/// It is acquired before the first of the steps it covers and released as soon as the last of them is over: in the
/// middle of the plan, on every path. A bracket that covers all that another covers is the outer one: acquired first,
/// released last. Two that overlap otherwise are independent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bracket<A> {
    /// A stable short name, unique among the brackets of the plan.
    pub name: Name,
    /// What a person reads. The name, if not said otherwise.
    pub title: String,
    /// How it is taken.
    pub acquire: A,
    /// How it is let go.
    pub release: A,
    /// The steps that run inside.
    pub covers: Vec<Name>,
    /// For how long it is held.
    pub hold: Hold,
    /// How often acquiring is tried; of a release only the backoff counts, it is tried until `release_within` is over.
    pub retry: Retry,
    /// How long acquiring may take in all. `None` waits for as long as the system lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<SignedDuration>,
    /// How long releasing may take in all. Past that the job needs intervention.
    pub release_within: SignedDuration,
    /// How long after a call went out its effect may still appear.
    pub settle: SignedDuration,
}

impl<A> Bracket<A> {
    /// A bracket that covers nothing yet, is held through undo, and may take 5 minutes to release.
    pub fn new(name: impl Into<Name>, acquire: A, release: A) -> Self {
        let name = name.into();
        Self {
            title: name.to_string(),
            name,
            acquire,
            release,
            covers: Vec::new(),
            hold: Hold::ThroughUndo,
            retry: Retry::default(),
            deadline: None,
            release_within: SignedDuration::from_mins(5),
            settle: SignedDuration::ZERO,
        }
    }

    /// Says what a person reads.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a step that runs inside.
    #[must_use]
    pub fn covers(mut self, step: impl Into<Name>) -> Self {
        self.covers.push(step.into());
        self
    }

    /// Holds it only while the steps themselves run: see [`Hold::Briefly`].
    #[must_use]
    pub fn briefly(mut self) -> Self {
        self.hold = Hold::Briefly;
        self
    }

    /// Says how often it is tried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Says how long acquiring may take in all.
    #[must_use]
    pub fn deadline(mut self, deadline: SignedDuration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Says how long releasing may take in all.
    #[must_use]
    pub fn release_within(mut self, limit: SignedDuration) -> Self {
        self.release_within = limit;
        self
    }

    /// Says how long a late effect may still come.
    #[must_use]
    pub fn settle(mut self, settle: SignedDuration) -> Self {
        self.settle = settle;
        self
    }
}

/// For how long a bracket is held.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Only while the steps themselves run; for what hurts while it is held, such as a freeze. Undoing and sweeping do
    /// without it. A step that needs intervention does not keep it, a new driver does not trust it, and a group that
    /// restarts takes it anew.
    Briefly,
    /// Also while its steps are undone and swept, and acquired again for that where it was already released. A step
    /// that needs intervention keeps it. The default: a lock, power off.
    ThroughUndo,
}

/// Steps that share a session, such as an exported database snapshot, and so restart together.
///
/// If one of them has to be tried again, or a new driver finds the group half done, what the others did is swept and
/// all begin anew. A step outside that needs one of them waits for all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// A stable short name, unique among the groups of the plan.
    pub name: Name,
    /// Its members.
    pub steps: Vec<Name>,
}

impl Group {
    /// A group of these steps.
    pub fn new<N: Into<Name>>(name: impl Into<Name>, steps: impl IntoIterator<Item = N>) -> Self {
        Self {
            name: name.into(),
            steps: steps.into_iter().map(Into::into).collect(),
        }
    }
}
