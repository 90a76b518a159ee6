use jiff::SignedDuration;
use stillpoint_core::ErrorKind;
use stillpoint_restore::{Event, Retryable};

use super::Driver;
use crate::line::Urgency;
use crate::work::{Learned, Work};

/// How long a system that took no call is left alone before the second attempt, and before each
/// further one: together longer than a restart of it takes, and shorter than an outage.
const PAUSES: [SignedDuration; 2] = [SignedDuration::from_secs(15), SignedDuration::from_secs(90)];

impl Driver {
    /// Has the attempts of a call outlast a restart of the provider that should take it. Between
    /// attempts nobody's place is taken, the lease is looked at, and a stop is heard. But a job that
    /// holds somebody up goes on as quickly as ever, so that they are let go soon.
    pub(super) fn patient(
        &self,
        mut learned: Learned,
        takes: impl FnOnce(&Work) -> bool,
    ) -> Learned {
        let away = learned.error.as_ref();
        let away = away.is_some_and(|error| error.kind() == ErrorKind::Unavailable);
        if let Event::Failed { call, failure } = &mut learned.event
            && let Retryable::After(wait) = failure.retry
            && away
            && self.live.get(call).is_some_and(|live| takes(&live.work))
            && self.urgency() == Urgency::Usual
        {
            let further = self.machine.attempt(*call) > 2;
            failure.retry = Retryable::After(wait.max(PAUSES[usize::from(further)]));
        }
        learned
    }
}
