//! A machine takes any sequence of records without panicking, and what it refuses leaves it as it was.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use stillpoint_restore::{
    Bracket, BracketIx, Call, Directive, Event, Failure, Group, Left, Machine, Plan, Record,
    Retryable, Step, StepIx,
};

fn plan() -> Arc<Plan<u8>> {
    let second = SignedDuration::from_secs(1);
    let plan = Plan::builder()
        .step(
            Step::new("a", 0)
                .undo(1)
                .settle(second)
                .deadline(second * 5),
        )
        .step(Step::new("b", 0).undo(1).needs("a").item())
        .step(Step::new("c", 0).undo(1).needs("a"))
        .step(
            Step::new("swap", 0)
                .pivot()
                .needs("b")
                .needs("c")
                .deadline(second * 9),
        )
        .step(Step::new("d", 0).sweep(2).needs("swap").after("freeze"))
        .bracket(
            Bracket::new("lock", 3, 4)
                .covers("a")
                .covers("b")
                .covers("swap"),
        )
        .bracket(
            Bracket::new("freeze", 5, 6)
                .covers("c")
                .briefly()
                .settle(second),
        )
        .group(Group::new("session", ["c"]))
        .build();
    Arc::new(plan.expect("the plan is sound"))
}

/// What to do next: mostly something that fits, so that the run gets far.
#[derive(Clone, Debug)]
enum Move {
    /// Follow one of the directives.
    Follow(prop::sample::Index),
    /// Tell something about a call in flight.
    Tell(prop::sample::Index, Told),
    /// Anything.
    Whatever(Record<u8>),
}

#[derive(Clone, Debug)]
enum Told {
    Absent,
    Done(Vec<u8>),
    Failed(Failure<u8>),
    Lost,
    Unknown(i64),
}

fn call() -> impl Strategy<Value = Call> {
    // One more than there are.
    let step = (0..=5_u32).prop_map(parse::<StepIx>);
    let bracket = (0..=2_u32).prop_map(parse::<BracketIx>);
    prop_oneof![
        bracket.clone().prop_map(Call::Acquire),
        step.clone().prop_map(Call::Do),
        bracket.prop_map(Call::Release),
        (step.clone(), 0..3_u32).prop_map(|(step, extra)| Call::Sweep { step, extra }),
        step.prop_map(Call::Undo),
    ]
}

/// Places come from plans and from records; here, from a record.
fn parse<P: serde::de::DeserializeOwned>(place: u32) -> P {
    serde_json::from_value(place.into()).expect("a place is a number")
}

fn failure() -> impl Strategy<Value = Failure<u8>> {
    let left = prop_oneof![
        Just(Left::Nothing),
        any::<u8>().prop_map(Left::Something),
        Just(Left::Unknown)
    ];
    let retry = prop_oneof![
        Just(Retryable::Never),
        (-5..50_i64).prop_map(|s| Retryable::After(SignedDuration::from_secs(s))),
        Just(Retryable::After(SignedDuration::MAX)),
    ];
    (left, retry).prop_map(|(left, retry)| Failure {
        left,
        message: "failed".to_owned(),
        retry,
    })
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        1 => Just(Told::Absent),
        4 => prop::collection::vec(any::<u8>(), 0..2).prop_map(Told::Done),
        2 => failure().prop_map(Told::Failed),
        1 => Just(Told::Lost),
        1 => (-5..20_i64).prop_map(Told::Unknown),
    ]
}

fn event() -> impl Strategy<Value = Event<u8>> {
    prop_oneof![
        call().prop_map(|call| Event::Abandoned { call }),
        call().prop_map(|call| Event::Absent { call }),
        call().prop_map(|call| Event::Accepted {
            call,
            ticket: "t".to_owned()
        }),
        (call(), 0..4_u32).prop_map(|(call, attempt)| Event::Begun { call, attempt }),
        call().prop_map(|call| Event::Cancelling { call }),
        (
            call(),
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..3)
        )
            .prop_map(|(call, output, twins)| Event::Done {
                call,
                output,
                twins
            }),
        (call(), failure()).prop_map(|(call, failure)| Event::Failed { call, failure }),
        call().prop_map(|call| Event::Lost { call }),
        Just(Event::Recovered),
        Just(Event::Resumed),
        Just(Event::StopRequested),
        (call(), time()).prop_map(|(call, settles_at)| Event::Unknown {
            call,
            evidence: "none".to_owned(),
            settles_at
        }),
        Just(Event::Warned {
            message: "well".to_owned()
        }),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..60_i64).prop_map(second),
        1 => Just(Timestamp::MIN),
        1 => Just(Timestamp::MAX),
    ]
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number")
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let record =
        (time(), 0..3_u64, event()).prop_map(|(at, epoch, event)| Record { at, epoch, event });
    prop::collection::vec(
        prop_oneof![
            3 => any::<prop::sample::Index>().prop_map(Move::Follow),
            3 => (any::<prop::sample::Index>(), told()).prop_map(|(ix, told)| Move::Tell(ix, told)),
            2 => record.prop_map(Move::Whatever),
        ],
        0..120,
    )
}

fn record(machine: &Machine<u8, u8>, now: Timestamp, step: &Move) -> Option<Record<u8>> {
    let event = match step {
        Move::Whatever(record) => return Some(record.clone()),
        Move::Follow(ix) => {
            let ready = machine.ready(now);
            let directive = *ready.get(ix.index(ready.len().max(1)))?;
            match directive {
                Directive::Abandon(call) => Event::Abandoned { call },
                Directive::Begin(call) => Event::Begun {
                    call,
                    attempt: machine.attempt(call),
                },
                Directive::Cancel(call) => Event::Cancelling { call },
                Directive::Observe(call) => Event::Absent { call },
                _ => return None,
            }
        }
        Move::Tell(ix, told) => {
            let calls = every_call(machine);
            let flying: Vec<_> = calls
                .into_iter()
                .filter(|call| machine.in_flight(*call))
                .collect();
            let call = *flying.get(ix.index(flying.len().max(1)))?;
            match told.clone() {
                Told::Absent => Event::Absent { call },
                Told::Done(twins) => Event::Done {
                    call,
                    output: 7,
                    twins,
                },
                Told::Failed(failure) => Event::Failed { call, failure },
                Told::Lost => Event::Lost { call },
                Told::Unknown(wait) => Event::Unknown {
                    call,
                    evidence: "none".to_owned(),
                    settles_at: now + SignedDuration::from_secs(wait),
                },
            }
        }
    };
    Some(Record {
        at: now,
        epoch: machine.epoch(),
        event,
    })
}

fn every_call(machine: &Machine<u8, u8>) -> Vec<Call> {
    let plan = machine.plan();
    let steps = plan
        .steps()
        .iter()
        .filter_map(|step| plan.find(step.name.as_str()));
    let brackets = plan
        .brackets()
        .iter()
        .filter_map(|bracket| plan.find_bracket(bracket.name.as_str()));
    let of_step = |step| {
        let sweeps = (0..20).map(move |extra| Call::Sweep { step, extra });
        [Call::Do(step), Call::Undo(step)].into_iter().chain(sweeps)
    };
    let of_brackets = brackets.flat_map(|ix| [Call::Acquire(ix), Call::Release(ix)]);
    of_brackets.chain(steps.flat_map(of_step)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_records(moves in moves()) {
        let mut machine = Machine::new(plan());
        let mut journal = Vec::new();
        for (tick, step) in (0..).zip(&moves) {
            let Some(record) = record(&machine, second(tick / 4), step) else { continue };
            let before = machine.clone();
            let checked = machine.check(&record);
            let applied = machine.apply(&record);
            prop_assert_eq!(&checked, &applied);
            match applied {
                Ok(()) => journal.push(record),
                Err(error) => {
                    prop_assert!(machine == before, "{error} changed it");
                    prop_assert!(error.to_string().contains([';', ':', ',']), "{error}");
                }
            }
            // Whatever it was told, it can be asked.
            let _ = machine.ready(second(tick));
            let _ = machine.wakeup(Timestamp::MAX);
            let _ = (machine.mode(), machine.phase(), machine.progress(None), machine.can_stop().is_ok());
            let _ = machine.tree().to_string();
            if let Some(outcome) = machine.outcome() {
                prop_assert!(!outcome.to_string().is_empty());
            }
        }
        let text = serde_json::to_string(&journal)?;
        let journal: Vec<Record<u8>> = serde_json::from_str(&text)?;
        prop_assert!(Machine::replay(plan(), &journal)? == machine);
    }
}
