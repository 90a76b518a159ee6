use std::time::Duration;

use crate::capabilities::Identity;
use crate::operation::{Operation, OperationKind};

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

/// The calls that a fault can meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// [`Provider::cancel`](crate::Provider::cancel).
    Cancel,
    /// [`Provider::describe`](crate::Provider::describe).
    Describe,
    /// A page of [`Provider::list`](crate::Provider::list).
    List,
    /// [`Provider::observe`](crate::Provider::observe).
    Observe,
    /// Reading of [`VolumeBytes`](crate::VolumeBytes).
    Read,
    /// [`Provider::submit`](crate::Provider::submit).
    Submit,
    /// [`VolumeBytes::write`](crate::VolumeBytes::write) and `flush`.
    Write,
}

/// Which call a scripted [`Fault`] meets.
#[derive(Clone, Copy, Debug)]
pub struct At {
    call: Call,
    operation: Option<OperationKind>,
    skip: u32,
    times: u32,
}

impl At {
    /// The next call of this sort.
    pub const fn call(call: Call) -> Self {
        Self {
            call,
            operation: None,
            skip: 0,
            times: 1,
        }
    }

    /// The next submit of this operation.
    pub const fn submit(operation: OperationKind) -> Self {
        Self::call(Call::Submit).of(operation)
    }

    /// Only calls about this operation.
    #[must_use]
    pub const fn of(mut self, operation: OperationKind) -> Self {
        self.operation = Some(operation);
        self
    }

    /// The `n`th such call from now, the next one being the first.
    #[must_use]
    pub const fn nth(mut self, n: u32) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// So many in a row.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn matches(&self, call: Call, operation: Option<&Operation>) -> bool {
        self.call == call
            && self
                .operation
                .is_none_or(|wanted| operation.map(Operation::kind) == Some(wanted))
    }
}

/// What goes wrong, by script and by chance.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    script: Vec<(At, Fault)>,
    weather: Option<Weather>,
}

#[derive(Debug)]
struct Weather {
    dice: fastrand::Rng,
    per_thousand: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, at: At, fault: Fault) {
        self.script.push((at, fault));
    }

    pub(crate) fn set_weather(&mut self, seed: u64, per_thousand: u32) {
        self.weather = (per_thousand > 0).then(|| Weather {
            dice: fastrand::Rng::with_seed(seed),
            per_thousand,
        });
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
        let mut hit = None;
        for (at, fault) in &mut self.script {
            if !at.matches(call, operation) {
                continue;
            }
            if at.skip > 0 {
                at.skip -= 1;
            } else if at.times > 0 && hit.is_none() {
                at.times -= 1;
                hit = Some(*fault);
            }
        }
        self.script.retain(|(at, _)| at.times > 0);
        hit.or_else(|| self.weather.as_mut()?.draw(call, operation, identity))
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
