use std::time::Duration;

use super::script::{At, Call, Script};
use crate::capabilities::Identity;
use crate::operation::Operation;

/// One thing that goes wrong with one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The system takes the operation and fails at it in the end, after `after` more than it
    /// would have needed.
    Fails {
        /// For how long it seems stuck.
        after: Duration,
    },
    /// A snapshot of several volumes fails at one of them.
    HalfDone {
        /// At which part, counted from 0.
        at: usize,
        /// Whether the parts before it stay; otherwise nothing does.
        leaves: bool,
    },
    /// The call is answered with a timeout, and the operation begins only later. No later than
    /// the system's promise: see [`Identity::settle`].
    Late {
        /// How long after the submit it begins.
        by: Duration,
    },
    /// There is never an answer: the call hangs until its caller gives up.
    LostReply {
        /// Whether the operation began.
        done: bool,
    },
    /// As [`Late`](Self::Late), but past what the system promises: a wrong system, for tests of
    /// what that leads to.
    PromiseBroken {
        /// How long after the submit it begins.
        by: Duration,
    },
    /// A quota is used up.
    QuotaShort,
    /// Too many calls (429).
    RateLimited {
        /// What the answer says of when to come back.
        retry_after: Option<Duration>,
    },
    /// The system takes the operation and needs so much longer for it.
    Slow {
        /// How much longer.
        by: Duration,
    },
    /// All is well, but the answer takes so much longer.
    Stall {
        /// How much longer.
        by: Duration,
    },
    /// The call is answered with a timeout (504).
    TimedOut {
        /// Whether the operation began.
        done: bool,
    },
    /// Nobody is there (503, a connection refused): nothing happened.
    Unavailable,
}

/// What goes wrong, by script and by chance.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    script: Script<Fault>,
    weather: Option<Weather>,
}

#[derive(Debug)]
struct Weather {
    dice: fastrand::Rng,
    per_thousand: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, at: At, fault: Fault) {
        self.script.add(at, fault);
    }

    pub(crate) fn set_weather(&mut self, seed: u64, per_thousand: u32) {
        self.weather = (per_thousand > 0).then(|| Weather {
            dice: fastrand::Rng::with_seed(seed),
            per_thousand,
        });
    }

    pub(crate) fn left(&self) -> usize {
        self.script.len()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault that this call meets. The script goes first.
    pub(crate) fn draw(
        &mut self,
        call: Call,
        operation: Option<&Operation>,
        identity: Identity,
    ) -> Option<Fault> {
        self.script
            .draw(call, operation)
            .or_else(|| self.weather.as_mut()?.draw(call, operation, identity))
    }
}

impl Weather {
    fn draw(
        &mut self,
        call: Call,
        operation: Option<&Operation>,
        identity: Identity,
    ) -> Option<Fault> {
        if self.dice.u32(0..1000) >= self.per_thousand {
            return None;
        }
        let seconds = Duration::from_secs(self.dice.u64(1..20));
        let done = self.dice.bool();
        let mut choices = vec![
            Fault::LostReply { done },
            Fault::RateLimited {
                retry_after: done.then_some(seconds),
            },
            Fault::Stall { by: seconds },
            Fault::Unavailable,
        ];
        if let (Call::Submit, Some(operation)) = (call, operation) {
            choices.push(Fault::TimedOut { done });
            choices.push(Fault::Fails { after: seconds });
            choices.push(Fault::Slow { by: seconds });
            let settle = identity.settle();
            if !settle.is_zero() {
                choices.push(Fault::Late {
                    by: settle.mul_f64(self.dice.f64()),
                });
            }
            if let Operation::Snapshot(take) = operation {
                choices.push(Fault::QuotaShort);
                if take.parts.len() > 1 {
                    choices.push(Fault::HalfDone {
                        at: self.dice.usize(0..take.parts.len()),
                        leaves: done,
                    });
                }
            }
        }
        Some(choices[self.dice.usize(0..choices.len())])
    }
}
