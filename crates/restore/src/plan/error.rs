//! Why a plan was refused.

use std::fmt;

use thiserror::Error;

use super::Name;

/// A plan was refused, with every reason there is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidPlan {
    /// All that is wrong; never empty.
    pub reasons: Vec<PlanError>,
}

impl fmt::Display for InvalidPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reasons.as_slice() {
            [only] => write!(f, "the plan can't run: {only}"),
            many => {
                write!(f, "the plan can't run, for {} reasons", many.len())?;
                many.iter().try_for_each(|reason| write!(f, "; {reason}"))
            }
        }
    }
}

impl std::error::Error for InvalidPlan {}

/// One reason why a plan can't run.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// A name that keys and journals could not hold.
    #[error(
        "{kind} {name:?}: a name is 1 to 100 of A-Z a-z 0-9 . _ / -, with a letter or digit at both ends; rename it"
    )]
    BadName {
        /// `step`, `bracket` or `group`.
        kind: &'static str,
        /// The name.
        name: Name,
    },
    /// A bracket that is held only briefly lies around one that is held through undo.
    #[error(
        "bracket {outer} is held briefly, but {inner} inside it through undo; hold {outer} through undo, or {inner} briefly"
    )]
    BadlyNested {
        /// The brief one.
        outer: Name,
        /// The one inside.
        inner: Name,
    },
    /// Each of these waits for the next, the last for the first.
    #[error("{} wait for each other in a circle; remove one of these needs", Chain(.path))]
    Cycle {
        /// The steps, brackets and groups on the circle.
        path: Vec<String>,
    },
    /// Two of a kind have one name.
    #[error("two {kind}s are named {name}; rename one")]
    DuplicateName {
        /// `step`, `bracket` or `group`.
        kind: &'static str,
        /// The name.
        name: Name,
    },
    /// A list names the same step or bracket twice.
    #[error("{owner} names {name} twice; name it once")]
    DuplicateReference {
        /// Whose list it is.
        owner: String,
        /// What stands there twice.
        name: Name,
    },
    /// No steps; or a bracket or group with none.
    #[error("{owner} has no steps; add one or leave it out")]
    Empty {
        /// What is empty.
        owner: String,
    },
    /// A group has members on both sides of the pivot, or holds the pivot.
    #[error(
        "group {group} can't restart across the pivot {pivot}; keep all its steps on one side of it"
    )]
    GroupAcrossPivot {
        /// The group.
        group: Name,
        /// The pivot.
        pivot: Name,
    },
    /// A step is neither before nor after the pivot, so nobody could say whether it still has to be unwound.
    #[error(
        "step {step} is neither before nor after the pivot {pivot}; add it to the pivot's needs, or the pivot to its own"
    )]
    LatePivot {
        /// The step.
        step: Name,
        /// The pivot.
        pivot: Name,
    },
    /// A step before the pivot (or in a plan without one) that can't be taken back.
    #[error(
        "step {step} can't be taken back if a later one fails; give it an undo, mark it harmless, or put it at or after the pivot"
    )]
    NoUndo {
        /// The step.
        step: Name,
    },
    /// A duration, count or factor that makes no sense.
    #[error("{owner}: {what}")]
    OutOfRange {
        /// Whose it is.
        owner: String,
        /// What is wrong and what would be right.
        what: &'static str,
    },
    /// A second pivot.
    #[error("both {first} and {second} are the pivot; a plan has one point of no return")]
    SecondPivot {
        /// One.
        first: Name,
        /// The other.
        second: Name,
    },
    /// A step belongs to two groups.
    #[error("step {step} is in two groups, {first} and {second}; make them one group")]
    TwoGroups {
        /// The step.
        step: Name,
        /// One.
        first: Name,
        /// The other.
        second: Name,
    },
    /// More than the machine is made for.
    #[error("the plan has {count} {what}, the most is {most}; split it into several jobs")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A group's member is optional or an item, and a group is all or nothing.
    #[error(
        "step {step} of group {group} is an item or optional, but a group is all or nothing; make it required, or take it out of the group"
    )]
    ToleratedMember {
        /// The step.
        step: Name,
        /// Its group.
        group: Name,
    },
    /// The pivot is optional or an item.
    #[error(
        "the pivot {step} is marked as an item or optional; what can't be taken back is required"
    )]
    ToleratedPivot {
        /// The pivot.
        step: Name,
    },
    /// The pivot or a step after it has an undo that could never run.
    #[error(
        "step {step} has an undo, but from the pivot on nothing is undone; remove it, or use a sweep if it is for results nobody adopts"
    )]
    UndoAfterPivot {
        /// The step.
        step: Name,
    },
    /// A name that nothing in the plan has.
    #[error(
        "{owner} names the {kind} {name}, which is not in the plan; add it or correct the name"
    )]
    Unknown {
        /// Whose list it is.
        owner: String,
        /// `step` or `bracket`.
        kind: &'static str,
        /// The name.
        name: Name,
    },
    /// A group's member leaves something behind and says not how to remove it, so the group can't restart.
    #[error(
        "step {step} of group {group} can't begin anew; give it an undo or a sweep, or mark it harmless"
    )]
    UnsweptMember {
        /// The step.
        step: Name,
        /// Its group.
        group: Name,
    },
}

struct Chain<'a>(&'a [String]);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
