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
        Self::new(plan, heading, |_| None, |_| None)
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
        let step = |ix| Some(machine.step_mark(ix));
        let bracket = |ix| Some(machine.bracket_mark(ix));
        Self::new(machine.plan(), heading, step, bracket)
    }

    fn new<A>(
        plan: &Plan<A>,
        heading: String,
        step_mark: impl Fn(StepIx) -> Option<Mark>,
        bracket_mark: impl Fn(BracketIx) -> Option<Mark>,
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
                    .map(|(ix, step)| Mark::on(step_mark(ix), &step_line(step)))
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
                    Mark::on(bracket_mark(ix), &format!("{title}{brief} around {covers}"))
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

/// A sign, and the words for it.
struct Mark(&'static str, String);

impl Mark {
    fn on(mark: Option<Self>, line: &str) -> String {
        match mark {
            Some(Self(sign, words)) => format!("{sign} {line}: {words}"),
            None => line.to_owned(),
        }
    }

    fn plain(sign: &'static str, words: &str) -> Self {
        Self(sign, words.to_owned())
    }

    fn moving(slot: &Slot, verb: &str) -> Self {
        let attempt = slot.attempt;
        match slot.at {
            At::Idle { .. } if attempt == 0 => Self::plain("·", "waiting"),
            At::Idle { .. } => Self("·", format!("to {verb} again, attempt {}", attempt + 1)),
            At::Running => Self("▶", format!("{verb}, attempt {attempt}")),
            At::Unsure { .. } => Self("?", format!("{verb}, attempt {attempt}, to be observed")),
            At::Stuck => Self("!", format!("{verb}, waits for an operator")),
            At::Done => Self("✓", format!("{verb}, done")),
            At::Failed => Self("✗", format!("{verb}, failed")),
        }
    }
}

impl<A, O> Machine<A, O> {
    fn step_mark(&self, ix: StepIx) -> Mark {
        let state = &self.state.steps[ix.index()];
        let Mark(sign, mut words) = match (state.undo.at, state.run.at) {
            (At::Done, _) => Mark::plain("↩", "undone"),
            (At::Idle { .. }, _) if state.undo.attempt == 0 => match state.run.at {
                _ if state.skipped => Mark::plain("-", "skipped"),
                At::Done => Mark::plain("✓", "done"),
                At::Failed => Mark::plain("✗", "failed"),
                _ => Mark::moving(&state.run, "do"),
            },
            _ => Mark::moving(&state.undo, "undo"),
        };
        let left = state
            .extras
            .iter()
            .filter(|extra| extra.slot.at != At::Done)
            .count();
        if left > 0 {
            let _ = write!(words, ", {left} to remove");
        }
        let trouble = |slot: &Slot| match slot.at {
            At::Done => None,
            _ => slot.message.clone(),
        };
        if let Some(message) = trouble(&state.run).or_else(|| trouble(&state.undo)) {
            let _ = write!(words, " ({message})");
        }
        Mark(sign, words)
    }

    fn bracket_mark(&self, ix: BracketIx) -> Mark {
        let state = &self.state.brackets[ix.index()];
        match (&state.held, state.acquire.at, state.release.at) {
            (Some(_), _, At::Idle { .. }) if !state.spoiled => Mark::plain("●", "held"),
            (Some(_), ..) => Mark::moving(&state.release, "release"),
            (None, At::Idle { .. }, _) if state.round > 0 => Mark::plain("○", "released"),
            (None, ..) => Mark::moving(&state.acquire, "acquire"),
        }
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
