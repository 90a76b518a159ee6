//! Time on a processor: on a busy machine a clock on the wall would count who else has a turn.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stillpoint_benches::Laps;

/// How long this thread has run since it began.
pub(crate) fn on_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs a round and adds the time that it was on a processor.
pub(crate) fn time<T>(laps: &mut Laps, round: impl FnOnce() -> T) -> T {
    let started = on_cpu();
    let output = round();
    laps.push(on_cpu() - started);
    output
}
