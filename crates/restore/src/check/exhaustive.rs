//! Every run there is, of small plans.
//!
//! That a job always ends is shown on the graph of states that was searched: it has no circle, and only states with an
//! outcome have no way on. So every run, whatever happens in it, comes to an outcome. (`eventually` properties would
//! not do: the checker forgets paths where they join.)

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{
    Guard,
    acts::Act,
    job::{Budget, Job},
    plans,
};
use crate::{Outcome, Plan};

pub(super) struct Small {
    plan: Arc<Plan<u8>>,
    budget: Budget,
    off: Option<Guard>,
    edges: Mutex<Vec<(u64, u64)>>,
}

impl Small {
    pub(super) fn new(plan: Arc<Plan<u8>>, budget: Budget, off: Option<Guard>) -> Self {
        Self {
            plan,
            budget,
            off,
            edges: Mutex::default(),
        }
    }
}

impl Model for Small {
    type State = Job;
    type Action = Act;

    fn init_states(&self) -> Vec<Job> {
        let mut job = Job::new(&self.plan, self.budget);
        job.machine.off = self.off;
        vec![job]
    }

    fn actions(&self, job: &Job, acts: &mut Vec<Act>) {
        job.acts(acts);
    }

    fn next_state(&self, job: &Job, act: Act) -> Option<Job> {
        let next = job.after(act);
        let edge = (job.print, next.print);
        self.edges
            .lock()
            .expect("no thread panics with it")
            .push(edge);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every rule holds", |_, job: &Job| job.broken().is_none()),
            Property::always("replay equals live", |_, job: &Job| job.replays()),
            Property::always("only an outcome has no way on", |_, job: &Job| {
                let mut acts = Vec::new();
                job.acts(&mut acts);
                !acts.is_empty() || job.over()
            }),
            Property::sometimes("a late effect is found", |_, job: &Job| job.found_late),
            Property::sometimes("it can complete", |_, job: &Job| {
                job.machine.outcome() == Some(Outcome::Completed)
            }),
        ]
    }
}

/// What is wrong with a model, if anything, and how many states it has.
pub(super) fn search(model: Small) -> (Result<(), String>, usize) {
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    let failed = [
        "every rule holds",
        "replay equals live",
        "only an outcome has no way on",
    ]
    .into_iter()
    .find_map(|name| Some((name, checker.discovery(name)?)));
    if let Some((name, path)) = failed {
        let job = path.last_state();
        let rule = job.broken().unwrap_or(name);
        let (tree, floats) = (job.machine.tree(), &job.world.floats);
        let text = format!(
            "{rule}\n{tree}\nin flight: {floats:?}\n{}",
            job.transcript()
        );
        return (Err(text), states);
    }
    if checker.model().budget.crashes > 0 && checker.discovery("a late effect is found").is_none() {
        return (
            Err("no late effect was ever found after a crash".to_owned()),
            states,
        );
    }
    if checker.discovery("it can complete").is_none() {
        return (Err("it can't complete".to_owned()), states);
    }
    let edges = std::mem::take(&mut *checker.model().edges.lock().expect("no thread is left"));
    let ends = if acyclic(&edges) {
        Ok(())
    } else {
        Err("a run need not end".to_owned())
    };
    (ends, states)
}

/// Takes away states that nothing leads to until none are left; on a circle, some are.
fn acyclic(edges: &[(u64, u64)]) -> bool {
    let mut next: HashMap<u64, Vec<u64>> = HashMap::new();
    let mut incoming: HashMap<u64, usize> = HashMap::new();
    for (from, to) in edges {
        next.entry(*from).or_default().push(*to);
        incoming.entry(*from).or_default();
        *incoming.entry(*to).or_default() += 1;
    }
    let mut open: Vec<u64> = incoming
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(state, _)| *state)
        .collect();
    let mut taken = 0;
    while let Some(state) = open.pop() {
        taken += 1;
        for to in next.remove(&state).unwrap_or_default() {
            let count = incoming.entry(to).or_default();
            *count -= 1;
            if *count == 0 {
                open.push(to);
            }
        }
    }
    taken == incoming.len()
}

fn check(name: &str, plan: Arc<Plan<u8>>, budget: Budget) {
    let start = Instant::now();
    let (result, states) = search(Small::new(plan, budget, None));
    println!("{name}: {states} states in {:.1?}", start.elapsed());
    if let Err(text) = result {
        panic!("{name}: {text}");
    }
}

const fn budget(faults: u8, crashes: u8, stops: u8, resumes: u8) -> Budget {
    Budget {
        faults,
        crashes,
        stops,
        resumes,
    }
}

#[test]
fn every_run_of_a_chain() {
    check("chain", plans::chain(), budget(1, 2, 1, 1));
}

#[test]
fn every_run_of_parallel_steps() {
    check("parallel", plans::parallel(), budget(1, 1, 1, 1));
    check("parallel", plans::parallel(), budget(1, 2, 0, 0));
}

#[test]
fn every_run_across_a_pivot() {
    check("pivot", plans::pivot(), budget(2, 2, 1, 1));
}

#[test]
fn every_run_of_nested_brackets() {
    check("nested", plans::nested(), budget(1, 1, 1, 1));
}

#[test]
fn every_run_of_a_step_in_two_brackets() {
    check("wrapped", plans::wrapped(), budget(1, 2, 1, 1));
}

#[test]
fn every_run_of_a_brief_bracket() {
    check("brief", plans::brief(), budget(1, 2, 1, 0));
}

#[test]
fn every_run_of_overlapping_brackets() {
    check("overlapping", plans::overlapping(), budget(1, 1, 0, 1));
}

#[test]
fn every_run_of_a_group() {
    check("group", plans::group(), budget(1, 2, 1, 1));
}

#[test]
fn every_run_of_a_session() {
    check("session", plans::session(), budget(1, 1, 1, 1));
    check("session", plans::session(), budget(1, 2, 0, 0));
}

#[test]
fn every_run_of_items() {
    check("items", plans::items(), budget(2, 2, 1, 1));
}

#[test]
#[ignore = "some ten million states, many minutes and gigabytes: by hand"]
fn every_run_with_more_going_wrong() {
    check("chain", plans::chain(), budget(2, 2, 1, 1));
    check("parallel", plans::parallel(), budget(2, 1, 1, 1));
    check("parallel", plans::parallel(), budget(1, 2, 1, 1));
    check("pivot", plans::pivot(), budget(3, 2, 1, 2));
    check("nested", plans::nested(), budget(2, 1, 1, 0));
    check("nested", plans::nested(), budget(1, 2, 1, 1));
    check("wrapped", plans::wrapped(), budget(2, 2, 1, 1));
    check("brief", plans::brief(), budget(2, 2, 1, 1));
    check("overlapping", plans::overlapping(), budget(1, 2, 1, 1));
    check("group", plans::group(), budget(2, 2, 1, 1));
    check("session", plans::session(), budget(2, 2, 1, 1));
    check("items", plans::items(), budget(3, 2, 1, 1));
}
