//! How a job ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Machine,
    due::Next,
    state::{At, BracketState, Flow},
};
use crate::{BracketIx, Call, Matters, Phase, StepIx};

/// How a job ended.
///
/// A request that was refused before it had a plan, or only planned, never had a machine; those outcomes are the
/// caller's.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Somebody stopped it.
    Cancelled {
        /// Whether it is proven that nothing was ever changed; otherwise all was rolled back.
        untouched: bool,
    },
    /// Every step is done.
    Completed,
    /// Every required step and item is done; something else is worth knowing.
    CompletedWithWarnings {
        /// What the driver told, and what became of optional steps.
        warnings: Vec<String>,
    },
    /// It failed, and it is proven that nothing was ever changed.
    Failed {
        /// What failed, and why.
        cause: Trouble,
    },
    /// A check of what was to be used failed; nothing was changed.
    FailedValidation {
        /// What failed, and why.
        cause: Trouble,
    },
    /// An operator has to look. After that, [`Event::Resumed`](crate::Event::Resumed) goes on from here.
    NeedsIntervention {
        /// What is the matter, each with its evidence; never empty.
        troubles: Vec<Trouble>,
        /// The brackets that are still held.
        held: Vec<BracketIx>,
        /// What to do next, for a person.
        next_actions: Vec<String>,
    },
    /// Some items failed; the others are done.
    PartiallyFailed {
        /// The failed ones, and those that were skipped because of them; never empty.
        items: Vec<Trouble>,
        /// As in [`CompletedWithWarnings`](Self::CompletedWithWarnings).
        warnings: Vec<String>,
    },
    /// It failed, and all it had done was undone.
    RolledBack {
        /// What failed, and why.
        cause: Trouble,
    },
}

/// A call that went wrong.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Trouble {
    /// Which call.
    pub call: Call,
    /// The call in the plan's names.
    pub name: String,
    /// What went wrong, or what was last seen.
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &mut dyn Iterator<Item = String>| {
            items.enumerate().try_for_each(|(n, item)| {
                f.write_str(if n == 0 { "" } else { "; " })?;
                f.write_str(&item)
            })
        };
        match self {
            Self::Cancelled { untouched: true } => f.write_str("cancelled, nothing was changed"),
            Self::Cancelled { untouched: false } => f.write_str("cancelled and rolled back"),
            Self::Completed => f.write_str("completed"),
            Self::CompletedWithWarnings { warnings } => {
                f.write_str("completed with warnings: ")?;
                list(f, &mut warnings.iter().cloned())
            }
            Self::Failed { cause } => write!(f, "failed, nothing was changed: {cause}"),
            Self::FailedValidation { cause } => {
                write!(f, "failed validation, nothing was changed: {cause}")
            }
            Self::NeedsIntervention {
                troubles,
                next_actions,
                ..
            } => {
                f.write_str("needs intervention: ")?;
                list(f, &mut troubles.iter().map(ToString::to_string))?;
                f.write_str(". Next: ")?;
                list(f, &mut next_actions.iter().cloned())
            }
            Self::PartiallyFailed { items, warnings } => {
                write!(f, "{} failed: ", items.len())?;
                list(
                    f,
                    &mut items
                        .iter()
                        .map(ToString::to_string)
                        .chain(warnings.iter().cloned()),
                )
            }
            Self::RolledBack { cause } => write!(f, "rolled back: {cause}"),
        }
    }
}

impl<A, O> Machine<A, O> {
    /// How it ended; `None` while something is in flight or still to be done.
    ///
    /// [`NeedsIntervention`](Outcome::NeedsIntervention) is an end that [`Event::Resumed`](crate::Event::Resumed) reopens.
    pub fn outcome(&self) -> Option<Outcome> {
        if !self.finished() {
            return None;
        }
        if self.state.stuck > 0 {
            return Some(self.needs_intervention());
        }
        if !self.settled() {
            return None;
        }
        Some(match &self.state.flow {
            Flow::Forward => self.completed(),
            Flow::Unwinding { cause: None } => Outcome::Cancelled {
                untouched: !self.state.touched,
            },
            Flow::Unwinding { cause: Some(call) } => {
                let cause = self.trouble(*call);
                let checking = call.step().is_some_and(|step| {
                    matches!(
                        self.plan.step(step).phase,
                        Phase::Planning | Phase::Verifying
                    )
                });
                match (self.state.touched, checking) {
                    (true, _) => Outcome::RolledBack { cause },
                    (false, true) => Outcome::FailedValidation { cause },
                    (false, false) => Outcome::Failed { cause },
                }
            }
        })
    }

    /// Whether nothing is in flight and nothing will ever be due.
    pub(super) fn finished(&self) -> bool {
        self.calls().all(|call| {
            // Later than any deadline: what is not due then never is.
            !self.in_flight(call) && self.next(call, jiff::Timestamp::MAX) == Next::Never
        })
    }

    /// Whether the end is a good one. Without this a mistake in what is due could pass for success.
    fn settled(&self) -> bool {
        let forward = self.state.flow == Flow::Forward;
        let steps = (0..).map(StepIx).zip(&self.state.steps);
        let mut steps = steps.map(|(ix, state)| {
            state.swept()
                && if forward {
                    self.over(ix)
                } else {
                    self.clear(ix)
                }
        });
        steps.all(|fine| fine) && self.state.brackets.iter().all(BracketState::free)
    }

    fn completed(&self) -> Outcome {
        let mut items = Vec::new();
        let mut warnings: Vec<String> = self
            .state
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        for (ix, step) in (0..).map(StepIx).zip(self.plan.steps()) {
            let state = &self.state.steps[ix.index()];
            if state.run.at == At::Done {
                continue;
            }
            match step.matters {
                Matters::Optional => warnings.push(self.trouble(Call::Do(ix)).to_string()),
                Matters::Item | Matters::Required => items.push(self.trouble(Call::Do(ix))),
            }
        }
        match (items.is_empty(), warnings.is_empty()) {
            (true, true) => Outcome::Completed,
            (true, false) => Outcome::CompletedWithWarnings { warnings },
            (false, _) => Outcome::PartiallyFailed { items, warnings },
        }
    }

    fn needs_intervention(&self) -> Outcome {
        let stuck = |call: &Call| self.slot(*call).is_some_and(|slot| slot.at == At::Stuck);
        let troubles: Vec<_> = self
            .calls()
            .filter(stuck)
            .map(|call| self.trouble(call))
            .collect();
        let held: Vec<_> = (0..)
            .map(BracketIx)
            .take(self.state.brackets.len())
            .filter(|ix| !self.state.brackets[ix.index()].free())
            .collect();
        let mut next_actions: Vec<_> = troubles
            .iter()
            .map(|trouble| self.advice(trouble.call))
            .collect();
        next_actions
            .push("then resume the job: everything named here is observed again first".to_owned());
        Outcome::NeedsIntervention {
            troubles,
            held,
            next_actions,
        }
    }

    fn advice(&self, call: Call) -> String {
        match call {
            Call::Acquire(ix) => {
                format!(
                    "make it possible to acquire {}, or see that it is not held",
                    self.plan.bracket(ix).name
                )
            }
            Call::Do(ix) => format!(
                "find out whether {} took effect; finish it, or remove what it left",
                self.plan.step(ix).name
            ),
            Call::Release(ix) => format!(
                "release {} by hand, or make it possible",
                self.plan.bracket(ix).name
            ),
            Call::Sweep { step, .. } => {
                format!(
                    "remove what {} made and nobody uses",
                    self.plan.step(step).name
                )
            }
            Call::Undo(ix) => format!(
                "undo {} by hand, or make it possible",
                self.plan.step(ix).name
            ),
        }
    }

    fn trouble(&self, call: Call) -> Trouble {
        let skipped = call
            .step()
            .is_some_and(|step| self.state.steps[step.index()].skipped);
        let message = match self.slot(call).and_then(|slot| slot.message.as_deref()) {
            Some(message) => message,
            None if skipped => "skipped, since what it needs has failed",
            None => "no reason was given",
        };
        Trouble {
            call,
            name: self.plan.describe(call),
            message: message.to_owned(),
        }
    }
}
