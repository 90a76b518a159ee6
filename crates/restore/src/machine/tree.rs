//! A plan, or a machine, as a person reads it.

use std::fmt::{self, Write};

use super::{
    Machine,
    state::{At, Slot},
};
use crate::{BracketIx, Hold, Phase, Plan, Step, StepIx};

/// A plan as a tree of phases, steps and brackets; of a machine, with the state of each. Its `Display` is for people
/// and no format to be parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tree {
    heading: String,
    branches: Vec<(String, Vec<String>)>,
}

impl Tree {
    pub(crate) fn of_plan<A>(plan: &Plan<A>) -> Self {
        let (steps, brackets) = (plan.steps().len(), plan.brackets().len());
        let heading = match brackets {
            0 => format!("plan of {steps} steps"),
            _ => format!("plan of {steps} steps, {brackets} brackets"),
        };
        Self::new(plan, heading, |_| String::new(), |_| String::new())
    }

    pub(super) fn of_machine<A, O>(machine: &Machine<A, O>) -> Self {
        let progress = machine.progress(None);
        let heading = match machine.outcome() {
            Some(outcome) => outcome.to_string(),
            None => format!(
                "{}, {}: {} of {} steps done",
                machine.mode(),
                machine.phase(),
                progress.done,
                progress.total
            ),
        };
        let step = |ix| format!("{} ", machine.step_mark(ix));
        let bracket = |ix| format!("{} ", machine.bracket_mark(ix));
        Self::new(machine.plan(), heading, step, bracket)
    }

    fn new<A>(
        plan: &Plan<A>,
        heading: String,
        step_mark: impl Fn(StepIx) -> String,
        bracket_mark: impl Fn(BracketIx) -> String,
    ) -> Self {
        let mut phases: Vec<Phase> = plan.steps().iter().map(|step| step.phase).collect();
        phases.sort_unstable();
        phases.dedup();
        let steps = || (0..).map(StepIx).zip(plan.steps());
        let mut branches: Vec<_> = phases
            .into_iter()
            .map(|phase| {
                let lines = steps()
                    .filter(|(_, step)| step.phase == phase)
                    .map(|(ix, step)| step_mark(ix) + &step_line(step))
                    .collect();
                (phase.to_string(), lines)
            })
            .collect();
        if !plan.brackets().is_empty() {
            let lines = (0..)
                .map(BracketIx)
                .zip(plan.brackets())
                .map(|(ix, bracket)| {
                    let brief = if bracket.hold == Hold::Briefly {
                        " briefly"
                    } else {
                        ""
                    };
                    let covers = names(&bracket.covers);
                    let title = title(&bracket.title, bracket.name.as_str());
                    format!("{}{title}{brief} around {covers}", bracket_mark(ix))
                });
            branches.push(("brackets".to_owned(), lines.collect()));
        }
        if !plan.groups().is_empty() {
            let line = |group: &crate::Group| format!("{}: {}", group.name, names(&group.steps));
            branches.push((
                "restart together".to_owned(),
                plan.groups().iter().map(line).collect(),
            ));
        }
        Self { heading, branches }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.heading)?;
        for (n, (name, lines)) in self.branches.iter().enumerate() {
            let last = n + 1 == self.branches.len();
            let (fork, bar) = if last {
                ("└─", "  ")
            } else {
                ("├─", "│ ")
            };
            write!(f, "\n{fork} {name}")?;
            for (n, line) in lines.iter().enumerate() {
                let fork = if n + 1 == lines.len() {
                    "└─"
                } else {
                    "├─"
                };
                write!(f, "\n{bar} {fork} {line}")?;
            }
        }
        Ok(())
    }
}

fn step_line<A>(step: &Step<A>) -> String {
    let mut line = title(&step.title, step.name.as_str());
    let mut note = |condition: bool, text: &str| {
        if condition {
            line.push_str(", ");
            line.push_str(text);
        }
    };
    note(step.pivot, "the point of no return");
    note(step.matters == crate::Matters::Item, "an item");
    note(step.matters == crate::Matters::Optional, "optional");
    note(step.undoable(), "can be undone");
    note(
        !step.needs.is_empty(),
        &format!("needs {}", names(&step.needs)),
    );
    note(
        !step.after.is_empty(),
        &format!("after {}", names(&step.after)),
    );
    line
}

fn title(title: &str, name: &str) -> String {
    if title == name {
        name.to_owned()
    } else {
        format!("{title} ({name})")
    }
}

fn names(names: &[crate::Name]) -> String {
    names
        .iter()
        .map(crate::Name::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

impl<A, O> Machine<A, O> {
    fn step_mark(&self, ix: StepIx) -> String {
        let state = &self.state.steps[ix.index()];
        let mut mark = match (state.undo.at, state.run.at) {
            (At::Done, _) => "↩ undone".to_owned(),
            (At::Idle { .. }, _) if state.undo.attempt == 0 => match state.run.at {
                _ if state.skipped => "- skipped".to_owned(),
                At::Done => "✓ done".to_owned(),
                At::Failed => "✗ failed".to_owned(),
                _ => moving(&state.run, "do"),
            },
            _ => moving(&state.undo, "undo"),
        };
        let left = state
            .extras
            .iter()
            .filter(|extra| extra.slot.at != At::Done)
            .count();
        if left > 0 {
            let _ = write!(mark, " ({left} to remove)");
        }
        if let Some(message) = state
            .run
            .message
            .as_deref()
            .filter(|_| state.run.at != At::Done)
        {
            let _ = write!(mark, " [{message}]");
        }
        mark
    }

    fn bracket_mark(&self, ix: BracketIx) -> String {
        let state = &self.state.brackets[ix.index()];
        match (&state.held, state.acquire.at, state.release.at) {
            (Some(_), _, At::Idle { .. }) if state.release.attempt == 0 => "● held".to_owned(),
            (Some(_), ..) => moving(&state.release, "release"),
            (None, At::Idle { .. }, _) if state.round > 0 => "○ released".to_owned(),
            (None, At::Failed, _) => "✗ failed".to_owned(),
            (None, ..) => moving(&state.acquire, "acquire"),
        }
    }
}

fn moving(slot: &Slot, verb: &str) -> String {
    match slot.at {
        At::Idle { .. } if slot.attempt == 0 => "· waiting".to_owned(),
        At::Idle { .. } => format!("· to {verb} again, attempt {}", slot.attempt + 1),
        At::Running => format!("▶ {verb}, attempt {}", slot.attempt),
        At::Unsure { .. } => format!("? {verb}, attempt {}, to be observed", slot.attempt),
        At::Stuck => format!("! {verb}, waits for an operator"),
        At::Done => format!("✓ {verb}"),
        At::Failed => format!("✗ {verb}"),
    }
}

impl fmt::Display for super::Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ended => "ended",
            Self::Forward => "going forward",
            Self::Halting => "halting",
            Self::Unwinding => "unwinding",
        })
    }
}

impl<A> Plan<A> {
    /// What a person reads: the plan as a tree.
    pub fn tree(&self) -> Tree {
        Tree::of_plan(self)
    }
}
