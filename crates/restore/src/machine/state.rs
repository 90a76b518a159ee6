//! What a machine remembers, kept small: instants that are due, not histories.

use jiff::Timestamp;

use crate::{Call, Machine};

/// All that changes. Instants are kept as "due at", so that what is past can no longer differ.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct State<O> {
    pub(crate) flow: Flow,
    pub(crate) steps: Vec<StepState<O>>,
    pub(crate) brackets: Vec<BracketState<O>>,
    /// Which groups are on their way back to their beginning.
    pub(crate) restarting: Vec<bool>,
    pub(crate) epoch: u64,
    pub(crate) clock: Timestamp,
    /// Whether anything was ever changed outside.
    pub(crate) touched: bool,
    /// How many slots are stuck.
    pub(crate) stuck: u32,
    pub(crate) warnings: Vec<Box<str>>,
}

impl<O> State<O> {
    pub(crate) fn new(steps: usize, brackets: usize, groups: usize) -> Self {
        Self {
            flow: Flow::Forward,
            steps: (0..steps).map(|_| StepState::default()).collect(),
            brackets: (0..brackets).map(|_| BracketState::default()).collect(),
            restarting: vec![false; groups],
            epoch: 0,
            clock: Timestamp::MIN,
            touched: false,
            stuck: 0,
            warnings: Vec::new(),
        }
    }

    pub(crate) fn begun(&self) -> bool {
        self.steps.iter().any(|step| step.run.attempt > 0)
            || self
                .brackets
                .iter()
                .any(|bracket| bracket.acquire.attempt > 0)
    }
}

/// Which way it goes, and why.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Flow {
    Forward,
    /// `None` is a stop that somebody asked for.
    Unwinding {
        cause: Option<Call>,
    },
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct StepState<O> {
    pub(crate) run: Slot,
    pub(crate) undo: Slot,
    pub(crate) output: Option<O>,
    pub(crate) extras: Vec<Extra<O>>,
    /// How often a result was given up for a new beginning.
    pub(crate) round: u32,
    pub(crate) skipped: bool,
}

impl<O> Default for StepState<O> {
    fn default() -> Self {
        Self {
            run: Slot::default(),
            undo: Slot::default(),
            output: None,
            extras: Vec::new(),
            round: 0,
            skipped: false,
        }
    }
}

impl<O> StepState<O> {
    pub(crate) fn swept(&self) -> bool {
        self.extras.iter().all(|extra| extra.slot.at == At::Done)
    }
}

/// A result that nobody adopts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Extra<O> {
    pub(crate) what: O,
    pub(crate) slot: Slot,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BracketState<O> {
    pub(crate) acquire: Slot,
    pub(crate) release: Slot,
    /// What acquiring gave back: it is held, or half held, and has to be released.
    pub(crate) held: Option<O>,
    /// Half held, half released, or not to be trusted: nothing may begin on the strength of it, and it has to be
    /// released before it can be acquired anew.
    pub(crate) spoiled: bool,
    pub(crate) round: u32,
}

impl<O> Default for BracketState<O> {
    fn default() -> Self {
        Self {
            acquire: Slot::default(),
            release: Slot::default(),
            held: None,
            spoiled: false,
            round: 0,
        }
    }
}

impl<O> BracketState<O> {
    pub(crate) fn free(&self) -> bool {
        self.held.is_none() && !self.acquire.at.in_flight() && self.acquire.at != At::Stuck
    }
}

/// Where one call is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Slot {
    pub(crate) at: At,
    /// Attempts begun, ever.
    pub(crate) attempt: u32,
    /// Attempts begun that count against the retry rule.
    pub(crate) tries: u32,
    /// When its time is over: from the first begin, or from the cancel.
    pub(crate) deadline: Option<Timestamp>,
    /// From when on "absent" is believed.
    pub(crate) settled: Timestamp,
    /// While unsure: when a system that can't tell has to be able to.
    pub(crate) patience: Option<Timestamp>,
    pub(crate) cancelled: bool,
    /// The system said that another attempt would not help, while what it left was not known.
    pub(crate) hopeless: bool,
    pub(crate) ticket: Option<Box<str>>,
    /// What last went wrong, or what was seen.
    pub(crate) message: Option<Box<str>>,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            at: At::Idle {
                from: Timestamp::MIN,
            },
            attempt: 0,
            tries: 0,
            deadline: None,
            settled: Timestamp::MIN,
            patience: None,
            cancelled: false,
            hopeless: false,
            ticket: None,
            message: None,
        }
    }
}

impl Slot {
    /// As new, but for the count of attempts: those number the records of a call.
    pub(crate) fn fresh(&self) -> Self {
        Self {
            attempt: self.attempt,
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum At {
    Done,
    /// For good, and known to have left nothing but what the extras name.
    Failed,
    /// Known to have no effect; may begin from then on.
    Idle {
        from: Timestamp,
    },
    /// A driver of this epoch makes the call.
    Running,
    /// An operator has to look.
    Stuck,
    /// It may have taken effect: to be observed from then on.
    Unsure {
        look: Timestamp,
    },
}

impl At {
    pub(crate) fn idle(self) -> bool {
        matches!(self, Self::Idle { .. })
    }

    pub(crate) fn in_flight(self) -> bool {
        matches!(self, Self::Running | Self::Unsure { .. })
    }
}

impl<A, O> Machine<A, O> {
    pub(crate) fn slot(&self, call: Call) -> Option<&Slot> {
        match call {
            Call::Acquire(ix) => Some(&self.state.brackets.get(ix.index())?.acquire),
            Call::Do(ix) => Some(&self.state.steps.get(ix.index())?.run),
            Call::Release(ix) => Some(&self.state.brackets.get(ix.index())?.release),
            Call::Sweep { step, extra } => Some(
                &self
                    .state
                    .steps
                    .get(step.index())?
                    .extras
                    .get(extra as usize)?
                    .slot,
            ),
            Call::Undo(ix) => Some(&self.state.steps.get(ix.index())?.undo),
        }
    }

    pub(crate) fn slot_mut(&mut self, call: Call) -> Option<&mut Slot> {
        match call {
            Call::Acquire(ix) => Some(&mut self.state.brackets.get_mut(ix.index())?.acquire),
            Call::Do(ix) => Some(&mut self.state.steps.get_mut(ix.index())?.run),
            Call::Release(ix) => Some(&mut self.state.brackets.get_mut(ix.index())?.release),
            Call::Sweep { step, extra } => Some(
                &mut self
                    .state
                    .steps
                    .get_mut(step.index())?
                    .extras
                    .get_mut(extra as usize)?
                    .slot,
            ),
            Call::Undo(ix) => Some(&mut self.state.steps.get_mut(ix.index())?.undo),
        }
    }
}
