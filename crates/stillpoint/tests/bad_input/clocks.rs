//! Clocks that are not to be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stillpoint::{Clock, JobQuery, SystemClock};

use crate::bed::{Bed, WEB};
use crate::end;

/// A clock that is turned by an hour forth and back all the time, or does not go at all.
#[derive(Debug)]
struct Odd {
    stopped: Option<jiff::Timestamp>,
    looks: AtomicI64,
}

#[async_trait]
impl Clock for Odd {
    fn now(&self) -> jiff::Timestamp {
        let looks = self.looks.fetch_add(1, Ordering::SeqCst);
        let turned = jiff::SignedDuration::from_hours(if (looks / 5) % 2 == 0 { 1 } else { -1 });
        self.stopped
            .unwrap_or_else(|| jiff::Timestamp::now() + turned)
    }

    fn passed(&self) -> Duration {
        SystemClock.passed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[tokio::test]
async fn a_clock_that_stops_and_one_that_jumps() {
    for stopped in [Some(jiff::Timestamp::now()), None] {
        let bed = Bed::new().await;
        let original = bed.volumes();
        let clock = Arc::new(Odd {
            stopped,
            looks: AtomicI64::new(0),
        });
        let still = bed.start_with(|it| it.clock(clock));
        let all = async {
            let taken = still.snapshot(WEB).await.unwrap();
            bed.damage();
            let damaged = bed.volumes();
            let job = still.restore(taken.id).await.unwrap();
            assert_eq!(bed.volumes(), original);
            still.undo(job.id).await.unwrap();
            assert_eq!(bed.volumes(), damaged);
            still.delete(taken.id).await.unwrap();
        };
        let in_time = tokio::time::timeout(Duration::from_secs(50), all).await;
        let jobs = still.jobs(&JobQuery::default()).await.unwrap();
        assert!(in_time.is_ok(), "stopped: {stopped:?}: {jobs:#?}");
        end(still.clone()).await;
        drop(still);
        bed.found().await.check_files("after all");
    }
}
