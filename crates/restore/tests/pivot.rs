//! The point of no return: what counts as passed, and what follows from it.

use jiff::{SignedDuration, Timestamp};
use stillpoint_restore::{
    Call, Event, Failure, Left, Machine, Outcome, Plan, Record, Retryable, Step,
};

/// Staged, and the pivot begun.
fn begun() -> (Machine<u8, u8>, Call) {
    let plan = Plan::builder()
        .step(Step::new("stage", 0).undo(1))
        .step(Step::new("swap", 2).pivot().sweep(3).needs("stage"))
        .build()
        .expect("the plan is sound");
    let call = |name| Call::Do(plan.find(name).expect("it is in the plan"));
    let (stage, swap) = (call("stage"), call("swap"));
    let mut machine = Machine::new(plan);
    tell(
        &mut machine,
        Event::Begun {
            call: stage,
            attempt: 1,
        },
    );
    tell(
        &mut machine,
        Event::Done {
            call: stage,
            output: 7,
            twins: vec![],
        },
    );
    tell(
        &mut machine,
        Event::Begun {
            call: swap,
            attempt: 1,
        },
    );
    (machine, swap)
}

fn tell(machine: &mut Machine<u8, u8>, event: Event<u8>) {
    let at = machine.clock().max(Timestamp::UNIX_EPOCH);
    machine
        .apply(&Record {
            at,
            epoch: 0,
            event,
        })
        .expect("it fits");
}

fn failed(call: Call, left: Left<u8>, retry: Retryable) -> Event<u8> {
    Event::Failed {
        call,
        failure: Failure {
            left,
            message: "no".to_owned(),
            retry,
        },
    }
}

#[test]
fn a_pivot_that_changed_nothing_leaves_the_way_back_open() {
    let (mut machine, swap) = begun();
    tell(&mut machine, failed(swap, Left::Nothing, Retryable::Never));
    let stage = machine.plan().find("stage").expect("it is in the plan");
    tell(
        &mut machine,
        Event::Begun {
            call: Call::Undo(stage),
            attempt: 1,
        },
    );
    tell(
        &mut machine,
        Event::Done {
            call: Call::Undo(stage),
            output: 0,
            twins: vec![],
        },
    );
    assert!(matches!(
        machine.outcome(),
        Some(Outcome::RolledBack { .. })
    ));
}

#[test]
fn half_a_pivot_needs_an_operator() {
    let (mut machine, swap) = begun();
    tell(
        &mut machine,
        failed(swap, Left::Something(9), Retryable::Never),
    );
    let Some(Outcome::NeedsIntervention { troubles, .. }) = machine.outcome() else {
        panic!("{:?}", machine.outcome());
    };
    assert_eq!(troubles[0].call, swap);
    tell(&mut machine, Event::Resumed);
    tell(
        &mut machine,
        Event::Done {
            call: swap,
            output: 9,
            twins: vec![],
        },
    );
    assert_eq!(machine.outcome(), Some(Outcome::Completed));
}

#[test]
fn half_a_pivot_is_removed_before_it_is_tried_again() {
    let (mut machine, swap) = begun();
    let again = Retryable::After(SignedDuration::ZERO);
    tell(&mut machine, failed(swap, Left::Something(9), again));
    let sweep = Call::Sweep {
        step: swap.step().expect("a step"),
        extra: 0,
    };
    let later = machine.clock() + SignedDuration::from_secs(60);
    assert_eq!(
        machine.ready(later),
        [stillpoint_restore::Directive::Begin(sweep)]
    );
    tell(
        &mut machine,
        Event::Begun {
            call: sweep,
            attempt: 1,
        },
    );
    tell(
        &mut machine,
        Event::Done {
            call: sweep,
            output: 0,
            twins: vec![],
        },
    );
    assert_eq!(machine.key("j", swap), "j/do/swap~2");
    assert_eq!(
        machine.ready(later),
        [stillpoint_restore::Directive::Begin(swap)]
    );
}
