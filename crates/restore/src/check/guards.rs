//! Each guard switched off in turn: something must notice.

use std::sync::Arc;

use super::{
    Guard,
    exhaustive::{Small, search},
    job::Budget,
    plans,
};
use crate::Plan;

/// A plan, and how much has to go wrong, for the absence of the guard to show.
fn witness(guard: Guard) -> (Arc<Plan<u8>>, Budget) {
    let budget = |faults, crashes, stops, resumes| Budget {
        faults,
        crashes,
        stops,
        resumes,
    };
    match guard {
        Guard::AttemptsBounded => (plans::chain(), budget(2, 0, 0, 0)),
        Guard::BracketAroundUndo => (plans::nested(), budget(1, 0, 1, 0)),
        Guard::BracketBeforeStep => (plans::nested(), budget(0, 0, 0, 0)),
        Guard::ExtrasSwept => (plans::chain(), budget(1, 0, 0, 0)),
        Guard::ForwardPastPivot => (plans::pivot(), budget(1, 0, 0, 0)),
        Guard::GroupRestarts => (plans::group(), budget(1, 0, 0, 0)),
        Guard::GroupRestartsTogether => (plans::session(), budget(1, 1, 0, 0)),
        Guard::HeldToTheLast => (plans::nested(), budget(0, 0, 0, 0)),
        Guard::InnerReleasedFirst => (plans::nested(), budget(1, 0, 1, 0)),
        Guard::NeedsFirst => (plans::chain(), budget(0, 0, 0, 0)),
        Guard::NeverGuess => (plans::chain(), budget(2, 0, 0, 0)),
        Guard::NoStopPastPivot => (plans::pivot(), budget(0, 0, 1, 0)),
        Guard::NothingNewWhileStuck => (plans::parallel(), budget(2, 0, 0, 0)),
        Guard::ObserveAfterTakeover => (plans::chain(), budget(0, 1, 0, 0)),
        Guard::OuterFirst => (plans::wrapped(), budget(0, 0, 0, 0)),
        Guard::ReleaseBeforeAfter => (plans::brief(), budget(0, 0, 0, 0)),
        Guard::SettleBeforeAbsent => (plans::chain(), budget(1, 0, 0, 0)),
        Guard::StaleRefused => (plans::chain(), budget(0, 1, 0, 0)),
        Guard::SweepBeforePivot => (plans::pivot(), budget(1, 0, 0, 0)),
        Guard::SweepBeforeRepeat => (plans::chain(), budget(1, 0, 0, 0)),
        Guard::SweepInReverse => (plans::group(), budget(0, 1, 0, 0)),
        Guard::UndoInReverse => (plans::chain(), budget(0, 0, 1, 0)),
    }
}

#[test]
fn the_absence_of_each_guard_is_noticed() {
    let mut missed = Vec::new();
    for guard in Guard::ALL {
        let (plan, budget) = witness(guard);
        let (whole, _) = search(Small::new(Arc::clone(&plan), budget, None));
        assert_eq!(whole, Ok(()), "{guard:?} is on");
        match search(Small::new(plan, budget, Some(guard))).0 {
            Ok(()) => missed.push(guard),
            Err(text) => {
                println!(
                    "without {guard:?}: {}",
                    text.lines().next().unwrap_or_default()
                );
            }
        }
    }
    assert!(
        missed.is_empty(),
        "nothing noticed that these were off: {missed:?}"
    );
}
