use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::select;
use stillpoint_iaas::Limits;

use crate::clock::Clock;
use crate::line::{Line, Place, Standing, Urgency};

/// How long to wait after a refusal for too many calls that does not say how long.
const BACK_OFF: Duration = Duration::from_secs(30);

/// What stands before a provider: at most so many operations at once, at most so many submits in
/// so much time, first come first served.
///
/// It measures time that passes and reads no clock: one that is set, forth or back, makes nobody
/// wait for longer or go too soon.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// Those who wait to be one of so many at once.
    entrance: Arc<Line>,
    /// Those who are, and wait until a submit may go out.
    turns: Arc<Line>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    /// Operations under way.
    inside: u32,
    /// When the last submits went out, oldest first; no more than the rate counts.
    sent: VecDeque<Duration>,
    /// Submits that nobody has answered yet.
    unanswered: u32,
    /// The provider asked for silence until then.
    quiet_until: Option<Duration>,
    /// It said that it is asked too much: then one goes alone, and with each that is taken twice
    /// as many as before. None where it never said so lately.
    window: Option<u32>,
}

/// The right to have one operation under way; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
}

/// A place among those who wait for their turn to submit. It is kept from one attempt to the next.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Arc<Gate>,
    place: Place,
    come: Option<Sent>,
}

/// A submit that is on its way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Sent {
    gate: Arc<Gate>,
}

impl Gate {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits,
            clock,
            entrance: Arc::default(),
            turns: Arc::default(),
            now: Mutex::default(),
        }
    }

    /// How long one call may take before its reply counts as lost.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.limits.call_timeout
    }

    /// Waits for a place among those at once, and then until a first submit may go out.
    pub(crate) async fn admit(self: Arc<Self>, urgency: Urgency) -> (Pass, Turn) {
        let pass = Arc::clone(&self).enter(urgency).await;
        let mut turn = Turn {
            place: self.turns.place(urgency),
            gate: self,
            come: None,
        };
        turn.come = Some(turn.wait().await);
        (pass, turn)
    }

    async fn enter(self: Arc<Self>, urgency: Urgency) -> Pass {
        let place = self.entrance.place(urgency);
        let standing = place.wait();
        loop {
            if standing.is_first() && self.let_in() {
                break;
            }
            standing.called().await;
        }
        drop(standing);
        Pass { gate: self }
    }

    async fn wait_for(&self, time: Duration, standing: &Standing<'_>) {
        // Somebody more urgent may come meanwhile.
        let called = standing.called();
        futures_util::pin_mut!(called);
        select(self.clock.sleep(time), called).await;
    }

    fn let_in(&self) -> bool {
        let mut now = self.lock();
        let free = now.inside < self.limits.at_once.max(1);
        now.inside += u32::from(free);
        free
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until a submit may go out.
    pub(crate) async fn come(&mut self) -> Sent {
        match self.come.take() {
            Some(sent) => sent,
            None => self.wait().await,
        }
    }

    async fn wait(&self) -> Sent {
        let gate = &self.gate;
        let standing = self.place.wait();
        loop {
            let wait = match standing.is_first() {
                true => gate.lock().wait(&gate.limits, gate.clock.passed()),
                false => Wait::Called,
            };
            match wait {
                Wait::Called => standing.called().await,
                Wait::Over => break,
                Wait::For(time) => gate.wait_for(time, &standing).await,
            }
        }
        Sent {
            gate: Arc::clone(gate),
        }
    }
}

/// What whoever is first has to wait for.
enum Wait {
    Called,
    Over,
    For(Duration),
}

impl Now {
    /// Whether a submit may go out now; where it may, it does.
    fn wait(&mut self, limits: &Limits, now: Duration) -> Wait {
        let rate = limits.rate.and_then(|rate| {
            let full = self.sent.len() >= usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX);
            let oldest = full.then(|| self.sent.front()).flatten()?;
            Some(oldest.saturating_add(rate.per))
        });
        if let Some(at) = rate.max(self.quiet_until).filter(|at| *at > now) {
            return Wait::For(at - now);
        }
        if self.window.is_some_and(|window| self.unanswered >= window) {
            return Wait::Called;
        }
        self.quiet_until = None;
        self.unanswered += 1;
        if let Some(rate) = limits.rate {
            self.sent.push_back(now);
            while self.sent.len() > usize::try_from(rate.calls.max(1)).unwrap_or(usize::MAX) {
                self.sent.pop_front();
            }
        }
        Wait::Over
    }
}

impl Sent {
    /// The provider took the call.
    pub(crate) fn taken(self) {
        let all = self.gate.limits.at_once;
        let mut now = self.gate.lock();
        now.window = now
            .window
            .map(|window| window * 2)
            .filter(|window| *window < all);
    }

    /// The provider refused the call for coming too fast.
    pub(crate) fn refused(self, after: Option<Duration>) {
        let until = self
            .gate
            .clock
            .passed()
            .saturating_add(after.unwrap_or(BACK_OFF));
        let mut now = self.gate.lock();
        now.quiet_until = now.quiet_until.max(Some(until));
        now.window = Some(1);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let mut now = self.gate.lock();
        now.unanswered = now.unanswered.saturating_sub(1);
        drop(now);
        self.gate.turns.call_first();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut now = self.gate.lock();
        now.inside = now.inside.saturating_sub(1);
        drop(now);
        self.gate.entrance.call_first();
    }
}
