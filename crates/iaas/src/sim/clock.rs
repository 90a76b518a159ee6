use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where the simulated cloud takes its time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A clock that starts now at `start` and goes as tokio's own: in a runtime with paused time
/// it is virtual, and moves only when everything waits.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
/// let clock = stillpoint_iaas::sim::clock_from("2026-03-01T02:00:00Z".parse().unwrap());
/// tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
/// assert_eq!(clock().to_string(), "2026-03-01T03:00:00Z");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn clock_from(start: Timestamp) -> Clock {
    let origin = Instant::now();
    Arc::new(move || {
        let passed = SignedDuration::try_from(origin.elapsed()).unwrap_or(SignedDuration::MAX);
        start.checked_add(passed).unwrap_or(Timestamp::MAX)
    })
}
