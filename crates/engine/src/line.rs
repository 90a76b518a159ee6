use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Who waits in front of a gate, in the order in which they are let through.
///
/// A waiter keeps its place: who is sent back goes on from where it stood, and nobody overtakes
/// but those that [hold](Urgency::Holding) something up.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    places: BTreeMap<(Urgency, u64), Arc<Notify>>,
}

/// Who goes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Urgency {
    /// Its job has frozen or stopped something, and each second of waiting is one of that.
    Holding,
    /// Nobody suffers but who asked.
    Usual,
}

/// A place in a line. It is in the way of those behind it only while it [waits](Self::wait).
#[derive(Debug)]
pub(crate) struct Place {
    line: Arc<Line>,
    at: (Urgency, u64),
}

/// Being in the line; it ends when this is dropped.
pub(crate) struct Standing<'a> {
    place: &'a Place,
    called: Arc<Notify>,
}

impl Line {
    /// A place behind all others of its urgency.
    pub(crate) fn place(self: &Arc<Self>, urgency: Urgency) -> Place {
        let mut waiting = self.lock();
        waiting.last += 1;
        Place {
            line: Arc::clone(self),
            at: (urgency, waiting.last),
        }
    }

    /// Has whoever is first look again.
    pub(crate) fn call_first(&self) {
        if let Some((_, first)) = self.lock().places.first_key_value() {
            first.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Stands in the line from now on.
    pub(crate) fn wait(&self) -> Standing<'_> {
        let called = Arc::new(Notify::new());
        let mut waiting = self.line.lock();
        waiting.places.insert(self.at, Arc::clone(&called));
        Standing {
            place: self,
            called,
        }
    }
}

impl Standing<'_> {
    /// Whether nobody is before it.
    pub(crate) fn is_first(&self) -> bool {
        let waiting = self.place.line.lock();
        waiting.places.first_key_value().map(|(at, _)| *at) == Some(self.place.at)
    }

    /// Comes back when there is a reason to look again.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.place.line.lock().places.remove(&self.place.at);
        self.place.line.call_first();
    }
}
