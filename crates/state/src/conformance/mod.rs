//! The rules that every [`State`] keeps, to be run against any.
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use stillpoint_state::conformance::{self, Rule, TestBed};
//! use stillpoint_state::{Memory, State};
//!
//! struct InMemory;
//!
//! #[async_trait]
//! impl TestBed for InMemory {
//!     async fn fresh(&self) -> Arc<dyn State> {
//!         Arc::new(Memory::new())
//!     }
//!     async fn reopen(&self, _: Arc<dyn State>) -> Option<Arc<dyn State>> {
//!         None // it does not outlive its value
//!     }
//! }
//!
//! // One #[test] for each rule:
//! stillpoint_state::conformance_tests!(InMemory);
//!
//! // Or one by one:
//! conformance::check(InMemory, Rule::KeysAreInOrder).unwrap();
//! ```
//!
//! # What it does not do
//!
//! It runs what goes wrong in races often enough to catch it, and cannot prove that it never does.
//! It does not cut the power, and kills no process: for that, [`durability`] has the two ends of a
//! test, to be put around a process of yours.

mod atomicity;
mod changes;
pub mod durability;
mod guards;
mod keys;
mod limits;
mod linearizability;
mod reopen;
mod scans;
mod versions;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use stillpoint_core::Error;

use crate::state::State;

/// Makes the states that are tested.
#[async_trait]
pub trait TestBed: Send + Sync + 'static {
    /// A state without entries, that nobody else uses.
    async fn fresh(&self) -> Arc<dyn State>;

    /// Closes a state made by [`fresh`](Self::fresh), of which this is the only handle, and opens
    /// again what it has stored; none where it stores nothing.
    async fn reopen(&self, state: Arc<dyn State>) -> Option<Arc<dyn State>>;
}

/// What every state promises.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// All writes of a batch show at once, or none ever.
    BatchIsAtomic,
    /// Who waits for a change with the revision of what it read misses none, deletions included.
    ChangesAreNotMissed,
    /// Of all who write one key at one version, one succeeds; and reads and writes are as if each
    /// happened at one moment between its call and its return.
    CompareAndSwapIsLinearizable,
    /// What was committed is there after closing and opening, and revisions go on growing.
    CommittedSurvivesReopening,
    /// A deleted key is absent in every respect.
    DeletedIsAbsent,
    /// Each guard holds exactly when it should, and a conflict names all that do not.
    GuardsHold,
    /// Entries come in the order of their keys' bytes, from the first bound and before the second.
    KeysAreInOrder,
    /// A batch at the limits is committed, one over them is refused as `Invalid`, and changes
    /// nothing.
    LimitsAreRefused,
    /// A scan shows every commit up to its revision and none after it.
    ScanIsOfOneRevision,
    /// Every commit that writes has a greater revision, which is the version of what it wrote.
    VersionsGrow,
}

/// A rule that was found broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

/// What a rule returns within: the text of what was seen.
type Verdict<T = ()> = Result<T, Broken>;

#[derive(Debug)]
struct Broken(String);

/// Whether the rule holds, on a runtime of four threads.
///
/// # Errors
///
/// What was seen, if it does not.
///
/// # Panics
///
/// Where no runtime can be started, or within the test bed.
pub fn check(bed: impl TestBed, rule: Rule) -> Result<(), Violation> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime for the test");
    let verdict = runtime.block_on(rule.check(&bed));
    verdict.map_err(|Broken(what)| Violation { rule, what })
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BatchIsAtomic,
        Self::ChangesAreNotMissed,
        Self::CommittedSurvivesReopening,
        Self::CompareAndSwapIsLinearizable,
        Self::DeletedIsAbsent,
        Self::GuardsHold,
        Self::KeysAreInOrder,
        Self::LimitsAreRefused,
        Self::ScanIsOfOneRevision,
        Self::VersionsGrow,
    ];

    async fn check(self, bed: &dyn TestBed) -> Verdict {
        match self {
            Self::BatchIsAtomic => atomicity::check(bed.fresh().await).await,
            Self::ChangesAreNotMissed => changes::check(bed.fresh().await).await,
            Self::CommittedSurvivesReopening => reopen::check(bed).await,
            Self::CompareAndSwapIsLinearizable => linearizability::check(bed.fresh().await).await,
            Self::DeletedIsAbsent => keys::deleted_is_absent(bed.fresh().await).await,
            Self::GuardsHold => guards::check(bed.fresh().await).await,
            Self::KeysAreInOrder => keys::in_order(bed.fresh().await).await,
            Self::LimitsAreRefused => limits::check(bed.fresh().await).await,
            Self::ScanIsOfOneRevision => scans::check(bed.fresh().await).await,
            Self::VersionsGrow => versions::check(bed.fresh().await).await,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is broken: {}", self.rule, self.what)
    }
}

impl std::error::Error for Violation {}

/// That the state itself failed breaks whatever rule is looked at.
impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self(format!("the state failed with {:?}: {error}", error.kind()))
    }
}

impl From<tokio::task::JoinError> for Broken {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("a caller panicked: {error}"))
    }
}

/// Ends a rule unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Broken(format!($($what)+)));
        }
    };
}
use ensure;

fn number(value: &Bytes) -> Verdict<u64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            Broken(format!(
                "a value of {} bytes that nobody wrote",
                value.len()
            ))
        })
}

/// One `#[test]` for each [`Rule`](crate::conformance::Rule), of the states that this
/// [`TestBed`](crate::conformance::TestBed) makes.
#[macro_export]
macro_rules! conformance_tests {
    ($bed:expr) => {
        $crate::conformance_tests! { @each $bed;
            batch_is_atomic BatchIsAtomic,
            changes_are_not_missed ChangesAreNotMissed,
            committed_survives_reopening CommittedSurvivesReopening,
            compare_and_swap_is_linearizable CompareAndSwapIsLinearizable,
            deleted_is_absent DeletedIsAbsent,
            guards_hold GuardsHold,
            keys_are_in_order KeysAreInOrder,
            limits_are_refused LimitsAreRefused,
            scan_is_of_one_revision ScanIsOfOneRevision,
            versions_grow VersionsGrow,
        }
    };
    (@each $bed:expr; $($name:ident $rule:ident,)+) => {
        $(
            #[test]
            fn $name() {
                if let Err(violation) =
                    $crate::conformance::check($bed, $crate::conformance::Rule::$rule)
                {
                    panic!("{violation}");
                }
            }
        )+
    };
}
