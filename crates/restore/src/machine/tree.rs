//! The plan as a person reads it.

use std::fmt;

use super::Machine;
use crate::Plan;

/// A plan as a tree, with the state of each step where it is a machine's: its `Display` is for people.
#[derive(Debug)]
pub struct Tree<'a, A> {
    plan: &'a Plan<A>,
    steps: Option<Vec<String>>,
}

impl<'a, A> Tree<'a, A> {
    pub(super) fn of_machine<O>(machine: &'a Machine<A, O>) -> Self {
        let _ = machine;
        Self {
            plan: machine.plan(),
            steps: None,
        }
    }
}

impl<A> fmt::Display for Tree<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.plan.steps() {
            writeln!(f, "{}", step.title)?;
        }
        Ok(())
    }
}
