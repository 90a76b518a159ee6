//! Time on a processor: what is long is interrupted on a busy machine, and a clock on the wall
//! would count that.

use std::fs;
use std::time::Duration;

use stillpoint_benches::Laps;

/// How long this thread has run since it began.
pub(crate) fn on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("nanoseconds on a processor come first"))
}

/// Runs a round and adds the time that it was on a processor.
pub(crate) fn time<T>(laps: &mut Laps, round: impl FnOnce() -> T) -> T {
    let started = on_cpu();
    let output = round();
    laps.push(on_cpu() - started);
    output
}
