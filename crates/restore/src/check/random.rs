//! Larger plans than can be searched, with runs at random.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use proptest::{prelude::*, test_runner::TestCaseResult};

use super::{
    job::{Budget, Job},
    plans::{quick, slow},
};
use crate::{Bracket, Group, Plan, Record, Step};

#[derive(Clone, Debug)]
struct Shape {
    steps: Vec<StepShape>,
    pivot: Option<prop::sample::Index>,
    brackets: Vec<BracketShape>,
    group: Option<Vec<prop::sample::Index>>,
}

#[derive(Clone, Debug)]
struct StepShape {
    needs: Vec<prop::sample::Index>,
    harmless: bool,
    sweep: bool,
    attempts: u32,
    settle: i64,
    deadline: Option<i64>,
    matters: u8,
    after: Option<prop::sample::Index>,
}

#[derive(Clone, Debug)]
struct BracketShape {
    covers: Vec<prop::sample::Index>,
    briefly: bool,
    settle: i64,
}

fn shape() -> impl Strategy<Value = Shape> {
    let index = any::<prop::sample::Index>;
    let few = move |most| prop::collection::vec(index(), 0..=most);
    let step = (
        few(2),
        prop::bool::weighted(0.2),
        any::<bool>(),
        1..=3_u32,
        0..=2_i64,
        prop::option::weighted(0.3, 1..=4_i64),
        0..8_u8,
        prop::option::weighted(0.2, index()),
    )
        .prop_map(
            |(needs, harmless, sweep, attempts, settle, deadline, matters, after)| StepShape {
                needs,
                harmless,
                sweep,
                attempts,
                settle,
                deadline,
                matters,
                after,
            },
        );
    let bracket = (
        prop::collection::vec(index(), 1..=3),
        any::<bool>(),
        0..=2_i64,
    )
        .prop_map(|(covers, briefly, settle)| BracketShape {
            covers,
            briefly,
            settle,
        });
    (
        prop::collection::vec(step, 1..=6),
        prop::option::of(index()),
        prop::collection::vec(bracket, 0..=3),
        prop::option::of(prop::collection::vec(index(), 2..=3)),
    )
        .prop_map(|(steps, pivot, brackets, group)| Shape {
            steps,
            pivot,
            brackets,
            group,
        })
}

/// The plan of a shape: always sound but for what groups and brackets may do to the order.
fn plan(shape: &Shape) -> Option<Arc<Plan<u8>>> {
    let count = shape.steps.len();
    let pivot = shape.pivot.map(|pivot| pivot.index(count));
    let seconds = SignedDuration::from_secs;
    let name = |place: usize| format!("s{place}");
    let mut builder = Plan::builder();
    for (place, form) in shape.steps.iter().enumerate() {
        let mut needs: BTreeSet<usize> = form
            .needs
            .iter()
            .filter(|_| place > 0)
            .map(|need| need.index(place))
            .collect();
        match pivot {
            Some(pivot) if place == pivot => needs.extend(0..place),
            Some(pivot) if place > pivot => drop(needs.insert(pivot)),
            _ => {}
        }
        let mut step = Step::new(name(place), 0)
            .retry(quick(form.attempts))
            .settle(seconds(form.settle));
        step = needs
            .into_iter()
            .fold(step, |step, need| step.needs(name(need)));
        if let Some(deadline) = form.deadline {
            step = step.deadline(seconds(deadline));
        }
        if let Some(after) = form.after.filter(|_| !shape.brackets.is_empty()) {
            step = step.after(format!("b{}", after.index(shape.brackets.len())));
        }
        step = match form.matters {
            0 if pivot != Some(place) => step.item(),
            1 if pivot != Some(place) => step.optional(),
            _ => step,
        };
        let forward = pivot.is_some_and(|pivot| place >= pivot);
        step = match (forward, form.harmless) {
            (true, _) if pivot == Some(place) => step.pivot(),
            (_, true) => step.harmless(),
            (true, false) => step,
            (false, false) => step.undo(1),
        };
        builder = builder.step(if form.sweep { step.sweep(2) } else { step });
    }
    for (place, form) in shape.brackets.iter().enumerate() {
        let bracket = Bracket::new(format!("b{place}"), 3, 4)
            .retry(slow(2))
            .settle(seconds(form.settle))
            .release_within(seconds(4));
        let covers: BTreeSet<_> = form.covers.iter().map(|step| step.index(count)).collect();
        let bracket = covers
            .into_iter()
            .fold(bracket, |bracket, step| bracket.covers(name(step)));
        builder = builder.bracket(if form.briefly {
            bracket.briefly()
        } else {
            bracket
        });
    }
    if let Some(group) = &shape.group {
        let members: BTreeSet<_> = group.iter().map(|step| step.index(count)).collect();
        builder = builder.group(Group::new("g", members.into_iter().map(name)));
    }
    builder.build().ok().map(Arc::new)
}

fn budget() -> impl Strategy<Value = Budget> {
    (0..=6_u8, 0..=3_u8, 0..=1_u8, 0..=2_u8).prop_map(|(faults, crashes, stops, resumes)| Budget {
        faults,
        crashes,
        stops,
        resumes,
    })
}

/// Runs a job to its end, choosing among what can happen; after the choices are used up, nothing more goes wrong.
fn run(plan: &Arc<Plan<u8>>, budget: Budget, choices: &[prop::sample::Index]) -> TestCaseResult {
    let mut job = Job::new(plan, budget);
    let mut acts = Vec::new();
    for number in 0..2_000 {
        acts.clear();
        job.acts(&mut acts);
        if acts.is_empty() {
            break;
        }
        let choice = match choices.get(number) {
            Some(choice) => choice.index(acts.len()),
            None => {
                job.budget = Budget {
                    faults: 0,
                    crashes: 0,
                    stops: 0,
                    resumes: 0,
                };
                acts.clear();
                job.acts(&mut acts);
                if acts.is_empty() {
                    break;
                }
                number % acts.len()
            }
        };
        job.run(acts[choice]);
        let rule = job.broken();
        prop_assert!(
            rule.is_none(),
            "{rule:?}\n{}\n{}",
            job.machine.tree(),
            job.transcript()
        );
    }
    prop_assert!(
        job.over(),
        "it has no end\n{}\n{}",
        job.machine.tree(),
        job.transcript()
    );
    prop_assert!(job.replays(), "replay differs\n{}", job.transcript());
    through_text(&job)
}

/// Plan and journal survive being written down.
fn through_text(job: &Job) -> TestCaseResult {
    let text = job.transcript();
    let mut lines = text.lines();
    let plan: Plan<u8> = serde_json::from_str(lines.next().unwrap_or_default())
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let records: Vec<Record<u8>> = lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let replayed = crate::Machine::replay(plan, &records)
        .map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
    prop_assert!(
        replayed == job.machine,
        "what was written down is not what happened\n{text}"
    );
    Ok(())
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(4_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_local_rejects: u32::MAX, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_holds_in_random_runs_of_random_plans(
        plan in shape().prop_filter_map("a plan that builds", |shape| plan(&shape)),
        budget in budget(),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 0..150),
    ) {
        run(&plan, budget, &choices)?;
    }
}
