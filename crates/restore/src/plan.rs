//! A plan: steps, brackets and groups, checked as a whole when it is built.

mod bracket;
mod builder;
mod error;
mod order;
mod step;
mod words;

use serde::{Deserialize, Serialize};

pub use self::{
    bracket::{Bracket, Group, Hold},
    builder::PlanBuilder,
    error::{InvalidPlan, PlanError},
    step::{Matters, Step, Undo},
    words::{Name, Phase, Retry},
};
use crate::{BracketIx, Call, StepIx};
pub(crate) use order::Order;

/// What is to be done, in which order, and how it is taken back: a value that can be stored, shown and run.
///
/// It is made by [`Plan::builder`] and never changes. Deserialising one checks it as building does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "PlanBuilder<A>")]
pub struct Plan<A> {
    steps: Vec<Step<A>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    brackets: Vec<Bracket<A>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Group>,
    #[serde(skip)]
    order: Order,
}

impl<A: PartialEq> PartialEq for Plan<A> {
    fn eq(&self, other: &Self) -> bool {
        // The order follows from the rest.
        self.steps == other.steps && self.brackets == other.brackets && self.groups == other.groups
    }
}

impl<A: Eq> Eq for Plan<A> {}

impl<A> Plan<A> {
    /// An empty builder.
    pub fn builder() -> PlanBuilder<A> {
        PlanBuilder::default()
    }

    /// The steps, in the order in which they were added; a [`StepIx`] is a place here.
    pub fn steps(&self) -> &[Step<A>] {
        &self.steps
    }

    /// The brackets, in the order in which they were added; a [`BracketIx`] is a place here.
    pub fn brackets(&self) -> &[Bracket<A>] {
        &self.brackets
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// A step by its place.
    ///
    /// # Panics
    /// If the place is of another, larger plan.
    pub fn step(&self, step: StepIx) -> &Step<A> {
        &self.steps[step.index()]
    }

    /// A bracket by its place.
    ///
    /// # Panics
    /// If the place is of another, larger plan.
    pub fn bracket(&self, bracket: BracketIx) -> &Bracket<A> {
        &self.brackets[bracket.index()]
    }

    /// The place of the step of that name.
    pub fn find(&self, name: &str) -> Option<StepIx> {
        let place = self
            .steps
            .iter()
            .position(|step| step.name.as_str() == name)?;
        Some(StepIx(place as u32))
    }

    /// The place of the bracket of that name.
    pub fn find_bracket(&self, name: &str) -> Option<BracketIx> {
        let place = self
            .brackets
            .iter()
            .position(|bracket| bracket.name.as_str() == name)?;
        Some(BracketIx(place as u32))
    }

    /// The point of no return, if there is one.
    pub fn pivot(&self) -> Option<StepIx> {
        self.order.pivot
    }

    /// What a call is to run; `None` where the plan says nothing for it (an undo of a step that has none).
    ///
    /// # Panics
    /// If the call is of another, larger plan.
    pub fn action(&self, call: Call) -> Option<&A> {
        match call {
            Call::Acquire(bracket) => Some(&self.bracket(bracket).acquire),
            Call::Do(step) => Some(&self.step(step).action),
            Call::Release(bracket) => Some(&self.bracket(bracket).release),
            Call::Sweep { step, .. } => self.step(step).remover(),
            Call::Undo(step) => match &self.step(step).undo {
                Undo::By(action) => Some(action),
                Undo::Harmless | Undo::Impossible => None,
            },
        }
    }

    /// A call in the plan's own names: `do snapshot/root`, `release power`.
    ///
    /// # Panics
    /// If the call is of another, larger plan.
    pub fn describe(&self, call: Call) -> String {
        match call {
            Call::Acquire(ix) | Call::Release(ix) => {
                format!("{} {}", call.verb(), self.bracket(ix).name)
            }
            Call::Do(ix) | Call::Undo(ix) => format!("{} {}", call.verb(), self.step(ix).name),
            Call::Sweep { step, extra } => format!("sweep {}, extra {extra}", self.step(step).name),
        }
    }

    pub(crate) fn order(&self) -> &Order {
        &self.order
    }
}

impl<A> TryFrom<PlanBuilder<A>> for Plan<A> {
    type Error = InvalidPlan;

    fn try_from(builder: PlanBuilder<A>) -> Result<Self, InvalidPlan> {
        builder.build()
    }
}
