use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_engine::Clock;

use crate::world::World;

/// The clock of the service's machine, which may be wrong.
#[derive(Clone)]
pub(crate) struct LifeClock(pub(crate) World);

#[async_trait]
impl Clock for LifeClock {
    fn now(&self) -> Timestamp {
        self.0.service_now()
    }

    fn passed(&self) -> Duration {
        self.0.passed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl fmt::Debug for LifeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LifeClock")
    }
}
