//! A pure state machine that runs a plan of steps to its end, or back to where it started: across lost replies, late
//! effects, crashes and second thoughts.
//!
//! You give it a [`Plan`] and tell it, record by record, what happened; it tells you what to do next. It has no clock,
//! does no I/O and needs no executor, so it can be checked exhaustively, and is. Your journal is the only state: a
//! [`Machine`] after a crash is the same records applied again.
//!
//! ```
//! use stillpoint_restore::{Directive, Event, Machine, Outcome, Plan, Record, Step};
//!
//! let plan = Plan::builder()
//!     .step(Step::new("volume/new", "create").undo("delete"))
//!     .step(Step::new("swap", "swap").pivot().needs("volume/new"))
//!     .build()?;
//!
//! let mut machine: Machine<_, String> = Machine::new(plan);
//! let mut journal = Vec::new();
//! let mut now: jiff::Timestamp = "2026-11-21T03:00:00Z".parse()?;
//!
//! while machine.outcome().is_none() {
//!     for directive in machine.ready(now) {
//!         let Directive::Begin(call) = directive else { unreachable!("nothing goes wrong here") };
//!         let begun = Event::Begun { call, attempt: machine.attempt(call) };
//!         // The key is what the call is found by if we die right after this record.
//!         let key = machine.key("job-1", call);
//!         let output = format!("{} by {key}", machine.plan().action(call).expect("it is in the plan"));
//!         for event in [begun, Event::Done { call, output, twins: vec![] }] {
//!             let record = Record { at: now, epoch: machine.epoch(), event };
//!             machine.check(&record)?;
//!             journal.push(record.clone()); // durable, in real life, before anything else happens
//!             machine.apply(&record)?;
//!         }
//!     }
//!     now = machine.wakeup(now).unwrap_or(now);
//! }
//!
//! assert_eq!(machine.outcome(), Some(Outcome::Completed));
//! let swap = machine.plan().find("swap").expect("it is in the plan");
//! assert_eq!(machine.output(swap).map(String::as_str), Some("swap by job-1/do/swap"));
//! let again = Machine::replay(machine.plan().clone(), &journal)?;
//! assert!(again == machine);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//! - It makes no calls and keeps no journal: a *driver* does, and this page says what the driver owes.
//! - It does not sleep: [`wakeup`](Machine::wakeup) says when to ask again.
//! - It knows nothing of what actions mean. Arguments that depend on an earlier step's output are the driver's to fill
//!   in, from [`output`](Machine::output).
//! - It does not branch or loop: what can be known beforehand is the plan, the rest is another job.
//! - It does not undo a job that has completed. That is a job with a plan of its own.
//!
//! # Describing the work
//! A [`Step`] has an action, what it needs, how it is taken back ([`Undo`]), how often it is tried ([`Retry`]), how
//! long it may take, and how long a late effect may still come (its settle time). A [`Bracket`] is something held around
//! steps, such as a lock or a freeze. A [`Group`] is steps that share a session and so restart together. One step may be
//! the *pivot*, the point of no return; every other step is then before or after it.
//! [`PlanBuilder::build`] refuses what could not be run safely, with [every reason at once](InvalidPlan). A plan can be
//! stored; reading it back checks it again.
//!
//! ```
//! use stillpoint_restore::{Bracket, Phase, Plan, PlanError, Step};
//!
//! let refused = Plan::builder()
//!     .step(Step::new("safety", "snapshot").phase(Phase::Safeguarding).undo("delete"))
//!     .step(Step::new("swap", "swap").phase(Phase::CuttingOver).needs("safty").pivot())
//!     .step(Step::new("validate", "ping").phase(Phase::Validating).harmless().after("power"))
//!     .bracket(Bracket::new("lock", "lock", "unlock").covers("safety").covers("swap"))
//!     .build()
//!     .unwrap_err();
//! assert_eq!(refused.reasons.len(), 2);
//! assert_eq!(
//!     refused.reasons[0].to_string(),
//!     "step swap names the step safty, which is not in the plan; add it or correct the name",
//! );
//! ```
//!
//! # Driving it
//! Whatever is to be done is a [`Call`]: do a step, undo it, acquire or release a bracket, sweep away what nobody
//! adopts. [`ready`](Machine::ready) lists what to do with them, as [`Directive`]s:
//!
//! | directive | first record | then | then record |
//! |---|---|---|---|
//! | `Begin` | `Begun` | make the call under [its key](Machine::key) | `Accepted`, `Done`, `Failed` or `Lost` |
//! | `Observe` | | ask for the call by its key until it is not running | `Done`, `Failed`, `Absent` or `Unknown` |
//! | `Cancel` | `Cancelling` | ask the system to cancel it | (it will be to observe) |
//! | `Abandon` | `Abandoned` | stop waiting for it | |
//!
//! What a driver owes: it takes `now` for the directives and for the records from one clock; it asks
//! [`check`](Machine::check) before it makes a record durable, makes it durable before it acts, and applies it; it
//! remembers which directives it is already following; and it makes no call for longer than it holds its lease.
//!
//! # After a crash
//! Replay the journal, then record [`Event::Recovered`] under your own, higher epoch. From there nothing is special:
//! what was in flight is unsure, so `ready` says to observe it. A call is repeated only when it was seen absent after
//! its settle time, counted from the last moment at which it can have been sent. If it took effect twice all the same,
//! `Done` names the twins and each is swept. Records of a driver with a lower epoch are refused.
//!
//! ```
//! use stillpoint_restore::{ApplyError, Call, Directive, Event, Machine, Plan, Record, Step};
//!
//! let settle = jiff::SignedDuration::from_secs(30);
//! let plan = Plan::builder().step(Step::new("create", ()).undo(()).settle(settle)).build()?;
//! let create = Call::Do(plan.find("create").expect("it is in the plan"));
//! let at = |second| jiff::Timestamp::from_second(second).expect("a small number");
//!
//! let mut machine: Machine<_, ()> = Machine::new(plan);
//! machine.apply(&Record { at: at(0), epoch: 0, event: Event::Begun { call: create, attempt: 1 } })?;
//! // ... the process dies here, and another takes over.
//! machine.apply(&Record { at: at(5), epoch: 1, event: Event::Recovered })?;
//! assert_eq!(machine.ready(at(5)), [Directive::Observe(create)]);
//! // Nothing is there, but that means little yet.
//! machine.apply(&Record { at: at(6), epoch: 1, event: Event::Absent { call: create } })?;
//! assert_eq!(machine.ready(at(6)), []);
//! assert_eq!(machine.wakeup(at(6)), Some(at(35)));
//! // The late effect is found, and adopted.
//! let done = Event::Done { call: create, output: (), twins: vec![] };
//! machine.apply(&Record { at: at(35), epoch: 1, event: done.clone() })?;
//! // The first driver wakes up. It is too late.
//! let stale = machine.apply(&Record { at: at(36), epoch: 0, event: done });
//! assert_eq!(stale, Err(ApplyError::Stale { record: 0, current: 1 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Going back
//! Before the pivot, a required step that fails for good, or [`Event::StopRequested`], turns the machine round: what
//! is in flight is cancelled and observed, what was done is undone in reverse order, and what was held is released
//! (and acquired again where an undo needs it). Once the pivot has begun there is only forward, and a stop is
//! [refused](StopRefused). A pivot that is known to have changed nothing is not one: then the way back is open again.
//!
//! # When a person is needed
//! What can't be known is never guessed. If a system can't tell within the time it named, if an undo or a release fails
//! for good, if a required step fails past the pivot, or if something was left that the plan can't remove, then nothing
//! new begins, what runs ends, what can be released is, and the outcome is [`Outcome::NeedsIntervention`] with the
//! evidence and what to do. [`Event::Resumed`] has everything that was named observed again, and goes on: what is seen
//! to have failed is tried once more, for good or not.
//!
//! # Does it always end?
//! As far as it lies with the machine: attempts are counted, a release has its time limit, a system that can't tell is
//! asked only until the time it named first, and a step with a [deadline](Step::deadline) is cancelled and then
//! abandoned. Time in which nobody drove does not count: after [`Event::Recovered`] both begin anew. A step without a deadline waits for as long as its system says "running".
//!
//! # How it was checked
//! In `src/check`, by `cargo test`: every run of ten small plans, with every reply, late effects, crashes, stale
//! drivers, stops and operators; thousands of random runs of random plans; and each of the machine's guards switched
//! off in turn, to see that the checks notice. A failing run prints its plan and journal, which
//! `cargo run --example replay -- FILE` shows record by record.

mod call;
#[cfg(test)]
mod check;
mod guard;
mod machine;
mod plan;
mod record;

pub use call::{BracketIx, Call, StepIx};
pub use machine::{
    ApplyError, Directive, Machine, Mode, Outcome, Progress, ReplayError, StopRefused, Tree,
    Trouble,
};
pub use plan::{
    Bracket, Group, Hold, InvalidPlan, Matters, Name, Phase, Plan, PlanBuilder, PlanError, Retry,
    Step, Undo,
};
pub use record::{Event, Failure, Left, Record, Retryable};
