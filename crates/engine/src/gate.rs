use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use stillpoint_iaas::Limits;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;

/// How long to wait after a refusal for too many calls that does not say how long.
const BACK_OFF: Duration = Duration::from_secs(30);

/// What stands before a provider: at most so many operations at once, at most so many submits in
/// so much time, first come first served.
#[derive(Debug)]
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    /// Held while waiting for one's turn: tokio's mutex is fair, so nobody overtakes.
    turn: Mutex<Turn>,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Turn {
    /// When the last submits went out, oldest first; no more than the rate counts.
    sent: VecDeque<Timestamp>,
    /// The provider asked for silence until then.
    quiet_until: Option<Timestamp>,
}

/// The right to have one operation under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    _slot: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let slots = usize::try_from(limits.at_once.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS)));
        Self {
            slots,
            turn: Mutex::default(),
            limits,
            clock,
        }
    }

    /// How long one call may take before its reply counts as lost.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.limits.call_timeout
    }

    /// Waits for a place among those at once.
    pub(crate) async fn enter(&self) -> Pass {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        Pass {
            _slot: slot.expect("the semaphore is never closed"),
        }
    }

    /// Waits until a submit may go out.
    pub(crate) async fn turn(&self) {
        let mut turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            let Some(at) = turn.next(&self.limits, now) else {
                turn.note(&self.limits, now);
                return;
            };
            // A clock that jumps back must not turn a short wait into a long one.
            let longest = self
                .limits
                .rate
                .map_or(Duration::ZERO, |rate| rate.per)
                .max(BACK_OFF);
            let wait = Duration::try_from(now.duration_until(at)).unwrap_or_default();
            self.clock.sleep(wait.min(longest)).await;
            if wait > longest {
                turn.sent.clear();
                turn.quiet_until = None;
            }
        }
    }

    /// The provider refused a call for coming too fast.
    pub(crate) async fn refused(&self, after: Option<Duration>) {
        let wait =
            SignedDuration::try_from(after.unwrap_or(BACK_OFF)).unwrap_or(SignedDuration::MAX);
        let until = self
            .clock
            .now()
            .saturating_add(wait)
            .unwrap_or(Timestamp::MAX);
        let mut turn = self.turn.lock().await;
        turn.quiet_until = turn.quiet_until.max(Some(until));
    }
}

impl Turn {
    /// When the next submit may go out; none where it may now.
    fn next(&self, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
        let rate = limits.rate.and_then(|rate| {
            let full = self.sent.len() >= usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX);
            let oldest = full.then(|| self.sent.front()).flatten()?;
            oldest.saturating_add(rate.per).ok()
        });
        rate.max(self.quiet_until).filter(|at| *at > now)
    }

    fn note(&mut self, limits: &Limits, now: Timestamp) {
        self.quiet_until = None;
        if let Some(rate) = limits.rate {
            self.sent.push_back(now);
            while self.sent.len() > usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX) {
                self.sent.pop_front();
            }
        }
    }
}
