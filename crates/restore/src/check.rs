//! The machine against small worlds: exhaustively, at random, and with each guard switched off.

mod acts;
mod canon;
mod exhaustive;
mod guards;
mod job;
mod journal;
mod plans;
mod random;
mod rules;
mod world;

/// The named guards of the machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guard {
    /// Attempts are counted and end.
    AttemptsBounded,
    /// What is undone or swept is so inside its brackets.
    BracketAroundUndo,
    /// A step begins inside its brackets.
    BracketBeforeStep,
    /// A result that nobody adopts is removed.
    ExtrasSwept,
    /// Past the pivot nothing is unwound.
    ForwardPastPivot,
    /// A member tried again takes its group along.
    GroupRestarts,
    /// A group begins anew only when all of it is back at the beginning.
    GroupRestartsTogether,
    /// A bracket is held until the last step it covers is over.
    HeldToTheLast,
    /// An outer bracket is released after the inner ones.
    InnerReleasedFirst,
    /// A step begins after what it needs.
    NeedsFirst,
    /// What a system can't tell is not guessed.
    NeverGuess,
    /// A stop is refused once the pivot has begun.
    NoStopPastPivot,
    /// Nothing new begins while an operator is waited for.
    NothingNewWhileStuck,
    /// What was in flight when a driver died is observed before it is repeated.
    ObserveAfterTakeover,
    /// An outer bracket is acquired before the inner ones.
    OuterFirst,
    /// A step that comes after a bracket waits for its release.
    ReleaseBeforeAfter,
    /// "Absent" is believed only when the time to settle is over.
    SettleBeforeAbsent,
    /// A driver that has lost its lease is not listened to.
    StaleRefused,
    /// Nothing unwanted is left behind when the pivot begins.
    SweepBeforePivot,
    /// What a failed attempt left is removed before the next.
    SweepBeforeRepeat,
    /// A group that restarts is cleared away from its end.
    SweepInReverse,
    /// What came later is undone first.
    UndoInReverse,
}

impl Guard {
    const ALL: [Self; 22] = [
        Self::AttemptsBounded,
        Self::BracketAroundUndo,
        Self::BracketBeforeStep,
        Self::ExtrasSwept,
        Self::ForwardPastPivot,
        Self::GroupRestarts,
        Self::GroupRestartsTogether,
        Self::HeldToTheLast,
        Self::InnerReleasedFirst,
        Self::NeedsFirst,
        Self::NeverGuess,
        Self::NoStopPastPivot,
        Self::NothingNewWhileStuck,
        Self::ObserveAfterTakeover,
        Self::OuterFirst,
        Self::ReleaseBeforeAfter,
        Self::SettleBeforeAbsent,
        Self::StaleRefused,
        Self::SweepBeforePivot,
        Self::SweepBeforeRepeat,
        Self::SweepInReverse,
        Self::UndoInReverse,
    ];
}
