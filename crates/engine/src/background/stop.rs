use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stillpoint_core::{Error, ErrorKind, Result};
use tokio::sync::Notify;

/// Asks a piece of work to stop. Clones ask the same work.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Stop {
    /// Asks it to stop as soon as it can.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// An error where it was asked. To be called often.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn check(&self) -> Result<()> {
        match self.asked.load(Ordering::SeqCst) {
            true => Err(stopped()),
            false => Ok(()),
        }
    }

    /// Returns once it is asked, with the error to end with.
    pub async fn asked(&self) -> Error {
        loop {
            // Before the look: from here on nobody's asking is missed.
            let woken = self.wake.notified();
            if let Err(error) = self.check() {
                return error;
            }
            woken.await;
        }
    }

    /// True once it is asked: for work that knows nothing of this.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }
}

/// What work that was stopped ends with.
pub fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "it was stopped").advise("Start it again if it is wanted")
}
