use std::future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Whether a life of the service still reaches anything.
#[derive(Clone, Debug)]
pub(crate) struct Fence(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    is: Mutex<Is>,
    // Not a watch channel: that wakes in an order of its own, another one in each run.
    changed: Notify,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Is {
    Dead,
    Open,
    Still,
}

impl Fence {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Gate {
            is: Mutex::new(Is::Open),
            changed: Notify::new(),
        }))
    }

    /// Nothing passes any more, for ever.
    pub(crate) fn kill(&self) {
        self.set(Is::Dead);
    }

    /// Nothing passes for now.
    pub(crate) fn still(&self) {
        self.set(Is::Still);
    }

    /// Everything passes again, unless it was killed meanwhile.
    pub(crate) fn wake(&self) {
        self.set(Is::Open);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is() == Is::Open
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is() == Is::Dead
    }

    /// Comes back only where what follows may happen.
    pub(crate) async fn pass(&self) {
        loop {
            let changed = self.0.changed.notified();
            match self.is() {
                Is::Dead => future::pending().await,
                Is::Open => return,
                Is::Still => changed.await,
            }
        }
    }

    fn is(&self) -> Is {
        *self.0.is.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, to: Is) {
        let mut is = self.0.is.lock().unwrap_or_else(PoisonError::into_inner);
        if *is != Is::Dead {
            *is = to;
        }
        drop(is);
        self.0.changed.notify_waiters();
    }
}
