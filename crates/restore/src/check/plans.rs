//! The shapes of plan that are checked exhaustively.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{Bracket, Group, Plan, PlanBuilder, Retry, Step};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

pub(super) fn step(name: &str) -> Step<u8> {
    Step::new(name, 0).retry(quick(2)).settle(SECOND)
}

pub(super) fn bracket(name: &str) -> Bracket<u8> {
    Bracket::new(name, 3, 4)
        .retry(slow(2))
        .settle(SECOND)
        .release_within(SECOND * 3)
}

/// Attempts without a pause, which only costs states.
pub(super) fn quick(attempts: u32) -> Retry {
    Retry {
        attempts,
        backoff: SignedDuration::ZERO,
        factor: 1,
        cap: SignedDuration::ZERO,
    }
}

pub(super) fn slow(attempts: u32) -> Retry {
    Retry {
        attempts,
        backoff: SECOND,
        factor: 1,
        cap: SECOND,
    }
}

fn build(builder: PlanBuilder<u8>) -> Arc<Plan<u8>> {
    Arc::new(builder.build().expect("the plan is sound"))
}

/// Three steps at once.
pub(super) fn parallel() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("a").title("one of three").undo(1))
            .step(step("b").title("one of three").undo(1))
            .step(step("c").title("one of three").undo(1)),
    )
}

/// One after the other; the second is the point of no return.
pub(super) fn pivot() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("stage").undo(1))
            .step(step("swap").pivot().needs("stage").deadline(SECOND * 2))
            .step(step("tell").needs("swap")),
    )
}

/// Two steps on the way, the second with a deadline; what reads stands between them.
pub(super) fn chain() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("first").undo(1))
            .step(step("check").harmless().needs("first"))
            .step(step("second").undo(1).needs("check").deadline(SECOND * 2)),
    )
}

/// A lock around two steps, and inside it a power-off around the second, after which the third comes.
pub(super) fn nested() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("a").undo(1))
            .step(step("b").undo(1).needs("a"))
            .bracket(bracket("lock").covers("a").covers("b"))
            .bracket(bracket("power").covers("b")),
    )
}

/// One step in two brackets, of which the first is the outer one.
pub(super) fn wrapped() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("only").undo(1))
            .bracket(bracket("lock").covers("only"))
            .bracket(bracket("power").covers("only")),
    )
}

/// A brief bracket that ends in the middle of the plan, and a step that waits for its end.
pub(super) fn brief() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("snap").undo(1))
            .step(step("copy").undo(1).after("freeze"))
            .bracket(bracket("freeze").briefly().covers("snap")),
    )
}

/// Two brackets that overlap.
pub(super) fn overlapping() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("a").undo(1).retry(quick(1)))
            .step(step("b").undo(1).retry(quick(1)).needs("a"))
            .step(step("c").undo(1).retry(quick(1)).needs("b"))
            .bracket(bracket("one").covers("a").covers("b"))
            .bracket(bracket("two").covers("b").covers("c")),
    )
}

/// Two steps that share a session, and one that needs them.
pub(super) fn group() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("dump/a").undo(1))
            .step(step("dump/b").undo(1).needs("dump/a"))
            .step(step("pack").undo(1).needs("dump/a"))
            .group(Group::new("session", ["dump/a", "dump/b"])),
    )
}

/// Two steps side by side that share a session.
pub(super) fn session() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("left").title("one of two").undo(1))
            .step(step("right").title("one of two").undo(1))
            .group(Group::new("session", ["left", "right"])),
    )
}

/// Items after the pivot, one of which needs another, and a required step behind them.
pub(super) fn items() -> Arc<Plan<u8>> {
    build(
        Plan::builder()
            .step(step("swap").pivot().sweep(2))
            .step(step("one").item().sweep(2).needs("swap").retry(quick(1)))
            .step(step("two").optional().sweep(2).needs("one").retry(quick(1)))
            .step(step("tell").harmless().needs("two").retry(quick(1))),
    )
}
