//! A whole job, read back from its journal, as a person sees it.

use serde_json::Value;
use stillpoint_restore::{
    ApplyError, Event, Machine, Mode, Outcome, Phase, Plan, Record, StopRefused,
};

const STORY: &str = include_str!("../testdata/crash.jsonl");

fn story() -> (Plan<Value>, Vec<Record<Value>>) {
    let mut lines = STORY.lines();
    let plan = serde_json::from_str(lines.next().expect("a plan")).expect("a sound plan");
    let records = lines
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    (plan, records)
}

fn after(records: usize) -> Machine<Value, Value> {
    let (plan, journal) = story();
    Machine::replay(plan, &journal[..records]).expect("the journal is of this plan")
}

#[test]
fn the_plan_as_a_tree() {
    let (plan, _) = story();
    let expected = "\
plan of 4 steps, 2 brackets
├─ safeguarding
│  └─ Take a safety snapshot (safety), can be undone
├─ staging
│  └─ Create the new root volume (volume/root), can be undone, needs safety
├─ cutting over
│  └─ Put the new volume in place (swap), the point of no return, needs volume/root
├─ validating
│  └─ Wait until it answers (validate), optional, needs swap, after power
└─ brackets
   ├─ lock around safety, volume/root, swap, validate
   └─ Power off (power) around swap";
    assert_eq!(plan.tree().to_string(), expected);
}

#[test]
fn the_job_as_a_tree_while_a_twin_is_removed() {
    let expected = "\
going forward, cutting over: 2 of 4 steps done
├─ safeguarding
│  └─ ✓ Take a safety snapshot (safety), can be undone: done
├─ staging
│  └─ ✓ Create the new root volume (volume/root), can be undone, needs safety: done, 1 to remove
├─ cutting over
│  └─ · Put the new volume in place (swap), the point of no return, needs volume/root: waiting
├─ validating
│  └─ · Wait until it answers (validate), optional, needs swap, after power: waiting
└─ brackets
   ├─ ● lock around safety, volume/root, swap, validate: held
   └─ · Power off (power) around swap: waiting";
    assert_eq!(after(10).tree().to_string(), expected);
}

#[test]
fn it_ends_with_a_warning() {
    let machine = after(story().1.len());
    let Some(Outcome::CompletedWithWarnings { warnings }) = machine.outcome() else {
        panic!("{:?}", machine.outcome());
    };
    assert_eq!(warnings, ["do validate: no answer on port 443"]);
    assert_eq!(
        (machine.mode(), machine.phase()),
        (Mode::Ended, Phase::Validating)
    );
}

#[test]
fn keys_name_the_effect_and_not_the_attempt() {
    let (first, second) = (after(7), after(9));
    let create = stillpoint_restore::Call::Do(first.plan().find("volume/root").expect("there"));
    assert_eq!(first.key("j", create), "j/do/volume/root");
    assert_eq!(second.key("j", create), first.key("j", create));
    let sweep = story().1[10].event.call().expect("a sweep");
    assert_eq!(after(10).key("j", sweep), "j/sweep/volume/root~1");
}

#[test]
fn a_stop_is_taken_until_the_pivot_begins() {
    let stop = |machine: &Machine<Value, Value>| {
        let (at, epoch) = (machine.clock(), machine.epoch());
        machine.check(&Record {
            at,
            epoch,
            event: Event::StopRequested,
        })
    };
    assert_eq!(stop(&after(1)), Ok(()));
    assert_eq!(stop(&after(14)), Ok(()));
    let refused = StopRefused::PastPivot {
        pivot: "swap".into(),
    };
    assert_eq!(stop(&after(15)), Err(ApplyError::StopRefused(refused)));
    let (_, journal) = story();
    assert!(
        matches!(journal[14].event, Event::Begun { .. }),
        "the pivot begins here"
    );
}

#[test]
fn a_stop_before_anything_began_leaves_everything_untouched() {
    let mut machine = after(1);
    let (at, epoch) = (machine.clock(), machine.epoch());
    let stop = Record {
        at,
        epoch,
        event: Event::StopRequested,
    };
    machine.apply(&stop).expect("nothing has begun");
    assert_eq!(
        machine.outcome(),
        Some(Outcome::Cancelled { untouched: true })
    );
    assert!(machine.apply(&stop).is_err(), "once is enough");
}

#[test]
fn a_journal_of_another_plan_is_refused_with_its_place() {
    let (_, journal) = story();
    let other: Plan<Value> = Plan::builder()
        .step(stillpoint_restore::Step::new("only", Value::from(1)).harmless())
        .build()
        .expect("the plan is sound");
    let error = Machine::replay(other, &journal).expect_err("it has no bracket");
    assert_eq!(error.number, 1);
    assert!(error.to_string().contains("record 1 (from 0)"), "{error}");
}
