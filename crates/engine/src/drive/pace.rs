use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// The time that a job's machine is told: it starts at an instant, and then goes as time passes.
///
/// Nothing of a job is late because the clock was set forth, or has to wait for longer because it
/// was set back: deadlines and settle times are of time that passes. Who takes the job over starts
/// from the clock again.
#[derive(Debug)]
pub(super) struct Pace {
    from: Timestamp,
    since: Duration,
}

impl Pace {
    /// From the clock on, but not before `earliest`: what was recorded.
    pub(super) fn new(clock: &dyn Clock, earliest: Timestamp) -> Self {
        Self {
            from: clock.now().max(earliest),
            since: clock.passed(),
        }
    }

    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let passed = clock.passed().saturating_sub(self.since);
        self.from.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}
