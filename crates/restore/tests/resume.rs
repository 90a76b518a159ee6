//! What an operator who has looked brings about.

use jiff::Timestamp;
use stillpoint_restore::{
    Call, Directive, Event, Failure, Left, Machine, Outcome, Plan, Record, Retryable, Step,
};

fn tell(machine: &mut Machine<u8, u8>, event: Event<u8>) {
    let at = machine.clock().max(Timestamp::UNIX_EPOCH);
    let record = Record {
        at,
        epoch: 0,
        event,
    };
    machine.apply(&record).expect("it fits");
}

fn begin(machine: &mut Machine<u8, u8>, call: Call) {
    let attempt = machine.attempt(call);
    tell(machine, Event::Begun { call, attempt });
}

fn failed(call: Call) -> Event<u8> {
    Event::Failed {
        call,
        failure: Failure {
            left: Left::Nothing,
            message: "no".to_owned(),
            retry: Retryable::Never,
        },
    }
}

/// A step done, the next failed for good, and so the first one's undo, too.
fn stuck_undo() -> (Machine<u8, u8>, Call) {
    let plan = Plan::builder()
        .step(Step::new("first", 0).undo(1))
        .step(Step::new("second", 2).undo(3).needs("first"))
        .build()
        .expect("the plan is sound");
    let find = |name| plan.find(name).expect("it is in the plan");
    let (first, second) = (find("first"), find("second"));
    let undo = Call::Undo(first);
    let mut machine = Machine::new(plan);
    begin(&mut machine, Call::Do(first));
    tell(
        &mut machine,
        Event::Done {
            call: Call::Do(first),
            output: 7,
            twins: vec![],
        },
    );
    begin(&mut machine, Call::Do(second));
    tell(&mut machine, failed(Call::Do(second)));
    begin(&mut machine, undo);
    tell(&mut machine, failed(undo));
    assert!(needs_a_person(&machine));
    (machine, undo)
}

fn needs_a_person(machine: &Machine<u8, u8>) -> bool {
    matches!(machine.outcome(), Some(Outcome::NeedsIntervention { .. }))
}

#[test]
fn what_failed_for_good_before_is_tried_again() {
    let (mut machine, undo) = stuck_undo();
    tell(&mut machine, Event::Resumed);
    let now = machine.clock();
    assert_eq!(machine.ready(now), [Directive::Observe(undo)]);
    // A system that keeps the ends of its operations says what it said before.
    tell(&mut machine, failed(undo));
    assert_eq!(machine.ready(now), [Directive::Begin(undo)]);
    begin(&mut machine, undo);
    tell(
        &mut machine,
        Event::Done {
            call: undo,
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
fn and_if_that_fails_for_good_a_person_has_to_look_again() {
    let (mut machine, undo) = stuck_undo();
    tell(&mut machine, Event::Resumed);
    tell(&mut machine, failed(undo));
    begin(&mut machine, undo);
    tell(&mut machine, failed(undo));
    assert!(needs_a_person(&machine));
}

/// A pivot whose reply was on its way when its driver went, for longer than the pivot may take.
#[test]
fn a_night_without_a_driver_is_nobodys_time() {
    let limit = jiff::SignedDuration::from_secs(60);
    let plan = Plan::builder()
        .step(Step::new("swap", 0).pivot().deadline(limit))
        .build()
        .expect("the plan is sound");
    let swap = Call::Do(plan.find("swap").expect("it is in the plan"));
    let mut machine = Machine::new(plan);
    begin(&mut machine, swap);
    let at = |seconds: i64| Timestamp::from_second(seconds).expect("in range");
    let recovered = Record {
        at: at(40_000),
        epoch: 1,
        event: Event::Recovered,
    };
    machine.apply(&recovered).expect("it fits");
    assert_eq!(machine.ready(at(40_000)), [Directive::Observe(swap)]);
    assert_eq!(machine.ready(at(40_059)), [Directive::Observe(swap)]);
    assert_eq!(machine.ready(at(40_060)), [Directive::Abandon(swap)]);
}
