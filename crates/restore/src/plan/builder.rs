//! Building a plan: collect first, then check everything and tell all that is wrong.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Bracket, Group, Hold, InvalidPlan, Name, Order, Plan, PlanError, Retry, Step, Undo};

/// Most steps a plan may have; a fan-out is one job a unit instead.
const MOST_STEPS: usize = 2_000;
const MOST_BRACKETS: usize = 200;

/// Collects a plan; [`build`](Self::build) checks it. Also the unchecked form that a stored plan is read through.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct PlanBuilder<A> {
    steps: Vec<Step<A>>,
    #[serde(default = "Vec::new")]
    brackets: Vec<Bracket<A>>,
    #[serde(default)]
    groups: Vec<Group>,
}

impl<A> Default for PlanBuilder<A> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            brackets: Vec::new(),
            groups: Vec::new(),
        }
    }
}

impl<A> PlanBuilder<A> {
    /// Adds a step. The order of adding is no order of running; it only breaks ties.
    pub fn step(mut self, step: Step<A>) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds a bracket.
    pub fn bracket(mut self, bracket: Bracket<A>) -> Self {
        self.brackets.push(bracket);
        self
    }

    /// Adds a group.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Checks the whole and makes the plan.
    ///
    /// # Errors
    /// [`InvalidPlan`] with every reason: names, references, durations, circles, a pivot in the wrong place, steps that
    /// could not be taken back, groups that could not restart.
    pub fn build(self) -> Result<Plan<A>, InvalidPlan> {
        let mut reasons = Vec::new();
        self.sizes(&mut reasons);
        if reasons.is_empty() {
            self.names(&mut reasons);
            self.ranges(&mut reasons);
            self.references(&mut reasons);
        }
        // Circles and the pivot's place can be told only where all names mean something.
        let blind = |reason: &PlanError| {
            matches!(
                reason,
                PlanError::DuplicateName { .. }
                    | PlanError::TooLarge { .. }
                    | PlanError::TwoGroups { .. }
                    | PlanError::Unknown { .. }
            )
        };
        let order = if reasons.iter().any(blind) {
            None
        } else {
            match Order::new(&self.steps, &self.brackets, &self.groups) {
                Ok(order) => {
                    self.places(&order, &mut reasons);
                    Some(order)
                }
                Err(reason) => {
                    reasons.push(reason);
                    None
                }
            }
        };
        match order {
            Some(order) if reasons.is_empty() => Ok(Plan {
                steps: self.steps,
                brackets: self.brackets,
                groups: self.groups,
                order,
            }),
            _ => Err(InvalidPlan { reasons }),
        }
    }

    fn sizes(&self, reasons: &mut Vec<PlanError>) {
        let mut limit = |what, count, most| {
            if count > most {
                reasons.push(PlanError::TooLarge { what, count, most });
            }
        };
        limit("steps", self.steps.len(), MOST_STEPS);
        limit("brackets", self.brackets.len(), MOST_BRACKETS);
        limit("groups", self.groups.len(), MOST_STEPS);
        if self.steps.is_empty() {
            reasons.push(PlanError::Empty {
                owner: "the plan".to_owned(),
            });
        }
    }

    fn names(&self, reasons: &mut Vec<PlanError>) {
        let mut check = |kind, names: &mut dyn Iterator<Item = &Name>| {
            let mut seen = HashMap::new();
            for name in names {
                if !name.is_valid() {
                    reasons.push(PlanError::BadName {
                        kind,
                        name: name.clone(),
                    });
                }
                let times = seen.entry(name).or_insert(0);
                *times += 1;
                if *times == 2 {
                    reasons.push(PlanError::DuplicateName {
                        kind,
                        name: name.clone(),
                    });
                }
            }
        };
        check("step", &mut self.steps.iter().map(|step| &step.name));
        check(
            "bracket",
            &mut self.brackets.iter().map(|bracket| &bracket.name),
        );
        check("group", &mut self.groups.iter().map(|group| &group.name));
    }

    fn ranges(&self, reasons: &mut Vec<PlanError>) {
        let mut refuse = |owner: &str, what| {
            reasons.push(PlanError::OutOfRange {
                owner: owner.to_owned(),
                what,
            });
        };
        let mut shared = |owner: &str,
                          retry: &Retry,
                          deadline: Option<SignedDuration>,
                          settle: SignedDuration| {
            if retry.attempts == 0 {
                refuse(owner, "0 attempts would never try it; allow at least 1");
            }
            if retry.factor == 0 {
                refuse(
                    owner,
                    "a backoff factor of 0 makes no sense; 1 keeps the wait as it is",
                );
            }
            if retry.backoff.is_negative() || retry.cap.is_negative() {
                refuse(owner, "a wait is negative; use zero or more");
            }
            if settle.is_negative() {
                refuse(owner, "the settle time is negative; use zero or more");
            }
            if deadline.is_some_and(|deadline| !deadline.is_positive()) {
                refuse(
                    owner,
                    "the deadline is over before it begins; allow more than zero",
                );
            }
        };
        for step in &self.steps {
            shared(
                &format!("step {}", step.name),
                &step.retry,
                step.deadline,
                step.settle,
            );
        }
        for bracket in &self.brackets {
            let owner = format!("bracket {}", bracket.name);
            shared(&owner, &bracket.retry, bracket.deadline, bracket.settle);
        }
        for bracket in &self.brackets {
            let owner = format!("bracket {}", bracket.name);
            if !bracket.release_within.is_positive() {
                refuse(
                    &owner,
                    "no time is given to release it; allow more than zero",
                );
            }
            if bracket.retry.wait(1).is_zero() {
                refuse(
                    &owner,
                    "its release would be tried without a pause; use a backoff above zero",
                );
            }
        }
    }

    fn references(&self, reasons: &mut Vec<PlanError>) {
        let steps: HashSet<_> = self.steps.iter().map(|step| &step.name).collect();
        let brackets: HashSet<_> = self.brackets.iter().map(|bracket| &bracket.name).collect();
        let mut check = |owner: String, kind, names: &[Name], known: &HashSet<&Name>| {
            let mut seen = HashSet::new();
            for name in names {
                if !known.contains(name) {
                    reasons.push(PlanError::Unknown {
                        owner: owner.clone(),
                        kind,
                        name: name.clone(),
                    });
                }
                if !seen.insert(name) {
                    reasons.push(PlanError::DuplicateReference {
                        owner: owner.clone(),
                        name: name.clone(),
                    });
                }
            }
        };
        for step in &self.steps {
            check(format!("step {}", step.name), "step", &step.needs, &steps);
            check(
                format!("step {}", step.name),
                "bracket",
                &step.after,
                &brackets,
            );
        }
        for bracket in &self.brackets {
            check(
                format!("bracket {}", bracket.name),
                "step",
                &bracket.covers,
                &steps,
            );
        }
        for group in &self.groups {
            check(
                format!("group {}", group.name),
                "step",
                &group.steps,
                &steps,
            );
        }
        let covers = self
            .brackets
            .iter()
            .map(|b| ("bracket", &b.name, &b.covers));
        let members = self.groups.iter().map(|g| ("group", &g.name, &g.steps));
        for (kind, name, list) in covers.chain(members) {
            if list.is_empty() {
                reasons.push(PlanError::Empty {
                    owner: format!("{kind} {name}"),
                });
            }
        }
        let mut home = HashMap::new();
        for group in &self.groups {
            for step in &group.steps {
                if let Some(first) = home.insert(step, &group.name)
                    && first != &group.name
                {
                    let (first, second) = (first.clone(), group.name.clone());
                    reasons.push(PlanError::TwoGroups {
                        step: step.clone(),
                        first,
                        second,
                    });
                }
            }
        }
    }

    fn places(&self, order: &Order, reasons: &mut Vec<PlanError>) {
        let mut pivots = self
            .steps
            .iter()
            .filter(|step| step.pivot)
            .map(|step| &step.name);
        let pivot = pivots.next();
        if let Some(first) = pivot {
            for second in pivots {
                let (first, second) = (first.clone(), second.clone());
                reasons.push(PlanError::SecondPivot { first, second });
            }
        }
        for (step, place) in self.steps.iter().zip(&order.places) {
            let name = || step.name.clone();
            if step.pivot && step.tolerated() {
                reasons.push(PlanError::ToleratedPivot { step: name() });
            }
            match (place, &step.undo) {
                (Place::Unordered, _) => {
                    if let Some(pivot) = pivot {
                        reasons.push(PlanError::LatePivot {
                            step: name(),
                            pivot: pivot.clone(),
                        });
                    }
                }
                (Place::Before, Undo::Impossible) => {
                    reasons.push(PlanError::NoUndo { step: name() });
                }
                (Place::Pivot | Place::After, Undo::By(_)) => {
                    reasons.push(PlanError::UndoAfterPivot { step: name() });
                }
                _ => {}
            }
        }
        for (bracket, outer) in self.brackets.iter().zip(&order.outer) {
            for outer in outer.iter().map(|ix| &self.brackets[ix.index()]) {
                if outer.hold == Hold::Briefly && bracket.hold == Hold::ThroughUndo {
                    let (outer, inner) = (outer.name.clone(), bracket.name.clone());
                    reasons.push(PlanError::BadlyNested { outer, inner });
                }
            }
        }
        for (group, members) in self.groups.iter().zip(&order.members) {
            let sides: HashSet<_> = members
                .iter()
                .map(|member| order.places[member.index()])
                .collect();
            if let Some(pivot) = pivot
                && (sides.len() > 1 || sides.contains(&Place::Pivot))
            {
                let (group, pivot) = (group.name.clone(), pivot.clone());
                reasons.push(PlanError::GroupAcrossPivot { group, pivot });
            }
            for member in members {
                let step = &self.steps[member.index()];
                if step.tolerated() {
                    let (step, group) = (step.name.clone(), group.name.clone());
                    reasons.push(PlanError::ToleratedMember { step, group });
                }
                if step.remover().is_none() && !step.is_harmless() {
                    let (step, group) = (step.name.clone(), group.name.clone());
                    reasons.push(PlanError::UnsweptMember { step, group });
                }
            }
        }
    }
}

/// On which side of the pivot a step is. Without a pivot all are before it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Place {
    After,
    Before,
    Pivot,
    Unordered,
}
