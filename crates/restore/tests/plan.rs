//! What a plan is refused for, and that a stored plan is not trusted.

use jiff::SignedDuration;
use stillpoint_restore::{Bracket, Group, Plan, PlanBuilder, PlanError, Retry, Step};

fn step(name: &str) -> Step<u8> {
    Step::new(name, 0)
}

fn undoable(name: &str) -> Step<u8> {
    step(name).undo(1)
}

fn bracket(name: &str) -> Bracket<u8> {
    Bracket::new(name, 2, 3)
}

fn refused(builder: PlanBuilder<u8>) -> Vec<PlanError> {
    builder.build().expect_err("the plan is not sound").reasons
}

/// Asserts that the only reason is this one.
macro_rules! refuses {
    ($builder:expr, $pattern:pat) => {
        let reasons = refused($builder);
        assert!(matches!(reasons.as_slice(), [$pattern]), "{reasons:?}");
    };
}

#[test]
fn circles_are_refused_and_shown() {
    let plan = Plan::builder()
        .step(undoable("a").needs("c"))
        .step(undoable("b").needs("a"))
        .step(undoable("c").needs("b"));
    let [PlanError::Cycle { path }] = &refused(plan)[..] else {
        panic!("one circle")
    };
    assert_eq!(path.len(), 3);
    refuses!(
        Plan::builder().step(undoable("a").needs("a")),
        PlanError::Cycle { .. }
    );
}

#[test]
fn a_step_does_not_wait_for_the_release_of_what_covers_it() {
    let plan = Plan::builder()
        .step(undoable("a").after("lock"))
        .bracket(bracket("lock").covers("a"));
    refuses!(plan, PlanError::Cycle { .. });
}

#[test]
fn nothing_outside_stands_between_the_members_of_a_group() {
    let plan = Plan::builder()
        .step(undoable("a"))
        .step(undoable("between").needs("a"))
        .step(undoable("b").needs("between"))
        .group(Group::new("session", ["a", "b"]));
    refuses!(plan, PlanError::Cycle { .. });
}

#[test]
fn every_step_is_before_or_after_the_pivot() {
    let late = Plan::builder()
        .step(undoable("late"))
        .step(step("swap").pivot());
    refuses!(late, PlanError::LatePivot { .. });
    let two = Plan::builder()
        .step(step("one").pivot())
        .step(step("two").pivot().needs("one"));
    refuses!(two, PlanError::SecondPivot { .. });
    let undone = Plan::builder().step(undoable("swap").pivot());
    refuses!(undone, PlanError::UndoAfterPivot { .. });
    let after = Plan::builder()
        .step(step("swap").pivot())
        .step(undoable("after").needs("swap"));
    refuses!(after, PlanError::UndoAfterPivot { .. });
    refuses!(
        Plan::builder().step(step("swap").pivot().item()),
        PlanError::ToleratedPivot { .. }
    );
}

#[test]
fn what_can_not_be_taken_back_is_no_step_before_the_pivot() {
    refuses!(Plan::builder().step(step("a")), PlanError::NoUndo { .. });
    let before = Plan::builder()
        .step(step("a"))
        .step(step("swap").pivot().needs("a"));
    refuses!(before, PlanError::NoUndo { .. });
}

#[test]
fn groups_can_restart() {
    let across = Plan::builder()
        .step(undoable("a"))
        .step(step("swap").pivot().needs("a"))
        .step(step("b").sweep(2).needs("swap"))
        .group(Group::new("session", ["a", "b"]));
    // Who waits for one member waits for all, so the pivot would wait for what comes after it.
    refuses!(across, PlanError::Cycle { .. });
    let around = Plan::builder()
        .step(step("swap").pivot().sweep(2))
        .group(Group::new("session", ["swap"]));
    refuses!(around, PlanError::GroupAcrossPivot { .. });
    let unswept = Plan::builder()
        .step(step("swap").pivot())
        .step(step("a").needs("swap"))
        .group(Group::new("session", ["a"]));
    refuses!(unswept, PlanError::UnsweptMember { .. });
    let item = Plan::builder()
        .step(undoable("a").item())
        .group(Group::new("session", ["a"]));
    refuses!(item, PlanError::ToleratedMember { .. });
    let two = Plan::builder()
        .step(undoable("a"))
        .group(Group::new("one", ["a"]))
        .group(Group::new("two", ["a"]));
    refuses!(two, PlanError::TwoGroups { .. });
}

#[test]
fn a_brief_bracket_does_not_lie_around_a_lasting_one() {
    let plan = Plan::builder()
        .step(undoable("a"))
        .step(undoable("b"))
        .bracket(bracket("freeze").briefly().covers("a").covers("b"))
        .bracket(bracket("lock").covers("a"));
    refuses!(plan, PlanError::BadlyNested { .. });
}

#[test]
fn all_reasons_come_at_once() {
    let plan = Plan::builder()
        .step(
            undoable("a b")
                .retry(Retry::times(0))
                .deadline(SignedDuration::ZERO),
        )
        .step(
            undoable("x")
                .needs("y")
                .needs("y")
                .settle(SignedDuration::from_secs(-1)),
        )
        .step(undoable("x").after("nothing"))
        .bracket(bracket("empty").release_within(SignedDuration::ZERO))
        .group(Group::new("g", ["z"]));
    let reasons = refused(plan);
    let count = |wanted: fn(&PlanError) -> bool| reasons.iter().filter(|r| wanted(r)).count();
    assert_eq!(count(|r| matches!(r, PlanError::BadName { .. })), 1);
    assert_eq!(count(|r| matches!(r, PlanError::DuplicateName { .. })), 1);
    assert_eq!(
        count(|r| matches!(r, PlanError::DuplicateReference { .. })),
        1
    );
    assert_eq!(count(|r| matches!(r, PlanError::Empty { .. })), 1);
    assert_eq!(count(|r| matches!(r, PlanError::OutOfRange { .. })), 4);
    assert_eq!(count(|r| matches!(r, PlanError::Unknown { .. })), 4);
    assert_eq!(reasons.len(), 12);
}

#[test]
fn a_release_is_never_tried_without_a_pause() {
    let hasty = Retry {
        backoff: SignedDuration::ZERO,
        ..Retry::default()
    };
    let plan = Plan::builder()
        .step(undoable("a"))
        .bracket(bracket("lock").covers("a").retry(hasty));
    refuses!(plan, PlanError::OutOfRange { .. });
}

#[test]
fn sizes_have_limits() {
    refuses!(Plan::<u8>::builder(), PlanError::Empty { .. });
    let many = (0..2_001).fold(Plan::builder(), |plan, n| {
        plan.step(undoable(&format!("s{n}")))
    });
    refuses!(many, PlanError::TooLarge { .. });
    // Two full layers with two thousand steps have a million needs.
    let wide = (0..2_000).fold(Plan::builder(), |plan, n| {
        let step = undoable(&format!("s{n}"));
        plan.step((0..n).fold(step, |step, need| step.needs(format!("s{need}"))))
    });
    refuses!(wide, PlanError::TooLarge { .. });
}

#[test]
fn each_reason_says_what_to_do() {
    let name = || "x".into();
    let owner = || "step x".to_owned();
    let (group, pivot) = (name, name);
    let all = [
        PlanError::BadName {
            kind: "step",
            name: name(),
        },
        PlanError::BadlyNested {
            outer: name(),
            inner: name(),
        },
        PlanError::Cycle {
            path: vec!["a".to_owned(), "b".to_owned()],
        },
        PlanError::DuplicateName {
            kind: "step",
            name: name(),
        },
        PlanError::DuplicateReference {
            owner: owner(),
            name: name(),
        },
        PlanError::Empty { owner: owner() },
        PlanError::GroupAcrossPivot {
            group: group(),
            pivot: pivot(),
        },
        PlanError::LatePivot {
            step: name(),
            pivot: pivot(),
        },
        PlanError::NoUndo { step: name() },
        PlanError::SecondPivot {
            first: name(),
            second: name(),
        },
        PlanError::ToleratedMember {
            step: name(),
            group: group(),
        },
        PlanError::ToleratedPivot { step: name() },
        PlanError::TooLarge {
            what: "steps",
            count: 3,
            most: 2,
        },
        PlanError::TwoGroups {
            step: name(),
            first: name(),
            second: name(),
        },
        PlanError::UndoAfterPivot { step: name() },
        PlanError::Unknown {
            owner: owner(),
            kind: "step",
            name: name(),
        },
        PlanError::UnsweptMember {
            step: name(),
            group: group(),
        },
    ];
    for reason in all {
        let text = reason.to_string();
        assert!(text.contains(['x', 'a', '3']), "{text}: names what");
        assert!(
            text.contains(';') || text.contains("split"),
            "{text}: says what to do"
        );
    }
}

#[test]
fn a_stored_plan_comes_back_and_a_hostile_one_does_not() {
    let plan = Plan::builder()
        .step(
            undoable("a")
                .sweep(4)
                .deadline(SignedDuration::from_mins(5)),
        )
        .step(step("swap").pivot().needs("a"))
        .step(step("ping").needs("swap").after("lock").optional())
        .bracket(bracket("lock").covers("a").covers("swap").briefly())
        .group(Group::new("session", ["a"]))
        .build()
        .expect("the plan is sound");
    let text = serde_json::to_string(&plan).expect("a plan is plain data");
    assert_eq!(
        serde_json::from_str::<Plan<u8>>(&text).expect("it was written by us"),
        plan
    );

    let circle = text.replace(
        r#""name":"a","title":"a","#,
        r#""name":"a","title":"a","needs":["ping"],"#,
    );
    assert_ne!(circle, text);
    let error = serde_json::from_str::<Plan<u8>>(&circle).expect_err("it has a circle");
    assert!(error.to_string().contains("in a circle"), "{error}");
}
