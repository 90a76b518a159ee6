use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

/// Where the engine's time comes from.
///
/// Only the engine and what is above it read one; everything below takes instants as arguments.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The instant it is. It may stop and it may jump, both ways.
    fn now(&self) -> Timestamp;

    /// How much time has passed since some instant that stays the same, in one process, however
    /// the clock was set meanwhile. It goes as [`sleep`](Self::sleep) does.
    fn passed(&self) -> Duration;

    /// Returns after this much time has passed, however the clock was set meanwhile.
    async fn sleep(&self, duration: Duration);
}

/// What the future gives, if it does so in time.
pub(crate) async fn within<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    future: F,
) -> Option<F::Output> {
    let sleep = clock.sleep(limit);
    futures_util::pin_mut!(future);
    match futures_util::future::select(future, sleep).await {
        futures_util::future::Either::Left((output, _)) => Some(output),
        futures_util::future::Either::Right(_) => None,
    }
}

/// The system's clock. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn passed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that starts at a given instant and goes with tokio's time: under a paused runtime it
/// is a virtual clock.
///
/// ```
/// use std::time::Duration;
///
/// use jiff::Timestamp;
/// use stillpoint_engine::{Clock, TokioClock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let clock = TokioClock::starting_at(Timestamp::UNIX_EPOCH);
/// clock.sleep(Duration::from_secs(86_400)).await;
/// assert_eq!(clock.now(), "1970-01-02T00:00:00Z".parse().unwrap());
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    at: Timestamp,
    since: Instant,
}

impl TokioClock {
    /// A clock that shows `at` now.
    pub fn starting_at(at: Timestamp) -> Self {
        Self {
            at,
            since: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.at
            .saturating_add(self.since.elapsed())
            .unwrap_or(Timestamp::MAX)
    }

    fn passed(&self) -> Duration {
        self.since.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
