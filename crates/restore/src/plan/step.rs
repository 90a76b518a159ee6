//! A step: one action, and all that is known about it beforehand.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Name, Phase, Retry};

/// One step of a plan.
///
/// `A` is what is to be done, as data; the machine never looks inside.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Step<A> {
    /// A stable short name such as `snapshot/root`, unique in the plan. It goes into the keys of its calls.
    pub name: Name,
    /// What a person reads. The name, if not said otherwise.
    pub title: String,
    /// Where in the course of things it belongs.
    pub phase: Phase,
    /// The steps that must be over before it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Name>,
    /// The brackets that must be released before it begins (and with that, all the steps they cover are over).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Name>,
    /// What is done.
    pub action: A,
    /// How it is taken back.
    pub undo: Undo<A>,
    /// How one of its results that nobody adopted is removed. Where there is an undo, that is used if this is absent.
    /// (An action that serde writes as null is read back as absent here.)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<A>,
    /// How often, and how fast, it is tried again.
    pub retry: Retry,
    /// How long it may take, all attempts together, from its first begin. Past that it is cancelled and fails. As long
    /// again is given to the cancel. `None` waits for as long as the system lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<SignedDuration>,
    /// How long after a call went out its effect may still appear. Only after that is "absent" believed.
    pub settle: SignedDuration,
    /// Whether the job can do without it.
    pub matters: Matters,
    /// Whether this is the point of no return.
    #[serde(default)]
    pub pivot: bool,
}

impl<A> Step<A> {
    /// A required step in [`Phase::Applying`] that needs nothing, with the default [`Retry`], no deadline, no settle time.
    ///
    /// How to take it back has to be said before the plan builds: [`undo`](Self::undo), [`harmless`](Self::harmless), or
    /// a place at or after the pivot.
    pub fn new(name: impl Into<Name>, action: A) -> Self {
        let name = name.into();
        Self {
            title: name.to_string(),
            name,
            phase: Phase::Applying,
            needs: Vec::new(),
            after: Vec::new(),
            action,
            undo: Undo::Impossible,
            sweep: None,
            retry: Retry::default(),
            deadline: None,
            settle: SignedDuration::ZERO,
            matters: Matters::Required,
            pivot: false,
        }
    }

    /// Says what a person reads.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Says where in the course of things it belongs.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// Adds a step that must be over before this one begins.
    #[must_use]
    pub fn needs(mut self, step: impl Into<Name>) -> Self {
        self.needs.push(step.into());
        self
    }

    /// Adds a bracket that must be released before this one begins: "once the instance runs again".
    #[must_use]
    pub fn after(mut self, bracket: impl Into<Name>) -> Self {
        self.after.push(bracket.into());
        self
    }

    /// Says how to take it back.
    #[must_use]
    pub fn undo(mut self, undo: A) -> Self {
        self.undo = Undo::By(undo);
        self
    }

    /// Says that it changes nothing that would have to be taken back: it reads, checks, waits.
    #[must_use]
    pub fn harmless(mut self) -> Self {
        self.undo = Undo::Harmless;
        self
    }

    /// Says how to remove a result that nobody adopted.
    #[must_use]
    pub fn sweep(mut self, sweep: A) -> Self {
        self.sweep = Some(sweep);
        self
    }

    /// Says how often it is tried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Says how long it may take in all.
    #[must_use]
    pub fn deadline(mut self, deadline: SignedDuration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Says how long a late effect may still come.
    #[must_use]
    pub fn settle(mut self, settle: SignedDuration) -> Self {
        self.settle = settle;
        self
    }

    /// Says that its failure makes the job [`PartiallyFailed`](crate::Outcome::PartiallyFailed) but stops nothing else.
    #[must_use]
    pub fn item(mut self) -> Self {
        self.matters = Matters::Item;
        self
    }

    /// Says that its failure is only a warning.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.matters = Matters::Optional;
        self
    }

    /// Makes it the point of no return.
    #[must_use]
    pub fn pivot(mut self) -> Self {
        self.pivot = true;
        self
    }

    /// What removes one of its results: the sweep, else the undo.
    pub fn remover(&self) -> Option<&A> {
        match (&self.sweep, &self.undo) {
            (Some(action), _) | (None, Undo::By(action)) => Some(action),
            (None, Undo::Harmless | Undo::Impossible) => None,
        }
    }

    pub(crate) fn tolerated(&self) -> bool {
        self.matters != Matters::Required
    }

    pub(crate) fn undoable(&self) -> bool {
        matches!(self.undo, Undo::By(_))
    }

    pub(crate) fn is_harmless(&self) -> bool {
        matches!(self.undo, Undo::Harmless)
    }
}

/// How a step is taken back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo<A> {
    /// By this action, given the step's output.
    By(A),
    /// There is nothing to take back.
    Harmless,
    /// It can't be: only the pivot and what comes after it may say so.
    Impossible,
}

/// Whether the job can do without a step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matters {
    /// One of many: if it fails, the steps that need it are skipped where they too are items or optional, the rest
    /// goes on, and the job ends as partially failed.
    Item,
    /// As [`Item`](Self::Item), but its failure is only a warning.
    Optional,
    /// The job fails with it.
    Required,
}
