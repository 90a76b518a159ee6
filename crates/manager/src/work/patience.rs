//! Taking back, where what is asked does not answer.

use std::time::Duration;

use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, Result};

use super::Task;

/// How long to wait before it is asked again: this, doubled up to [`SLOWEST`].
const FIRST: Duration = Duration::from_secs(1);
const SLOWEST: Duration = Duration::from_secs(30);

/// How long one try of an undo waits in all. The engine tries three times before it asks a person:
/// an hour, in which everything stays locked.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// How often it was asked, and for how long it was waited.
struct Patience {
    pause: Duration,
    waited: Duration,
}

impl Task {
    /// Takes something back, once what has to do it answers.
    pub(super) async fn patiently<Undone: Future<Output = Result<Value>>>(
        &self,
        undo: impl Fn() -> Undone,
    ) -> Result<Value> {
        let mut patience = Patience::new();
        loop {
            match undo().await {
                Err(error) => patience.wait(self, error).await?,
                done => return done,
            }
        }
    }
}

impl Patience {
    fn new() -> Self {
        Self {
            pause: FIRST,
            waited: Duration::ZERO,
        }
    }

    /// Returns once it is to be asked again: to undo is safe to do again, and as long as it is not
    /// done nothing can be unlocked.
    ///
    /// # Errors
    /// This one, where it is another than that nobody answers, or was waited for long enough.
    async fn wait(&mut self, task: &Task, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Unavailable || self.waited >= PATIENCE {
            return Err(error);
        }
        let (job, pause) = (&task.token, self.pause);
        tracing::warn!(%job, %error, ?pause, "it cannot be taken back yet, and all stays locked");
        tokio::select! {
            () = task.inner.clock.sleep(pause) => {}
            _ = task.stop.asked() => return Err(error),
        }
        self.waited += pause;
        self.pause = (pause * 2).min(SLOWEST);
        Ok(())
    }
}
