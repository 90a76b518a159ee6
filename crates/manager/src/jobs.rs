//! The work that runs in this process, by its key.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use stillpoint_core::{Error, ErrorKind, World};
use stillpoint_engine::CustomObservation;
use stillpoint_iaas::OperationKey;
use tokio::sync::watch;

use crate::site::Stop;

/// What runs. Dropping it asks everything to stop.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    running: Mutex<HashMap<OperationKey, Running>>,
    /// Cancelled before anybody here knew of it: after a crash the two orders are possible.
    stopped: Mutex<HashSet<OperationKey>>,
}

#[derive(Debug)]
struct Running {
    over: watch::Receiver<Option<Result<Value, Failed>>>,
    stop: Stop,
}

/// Why a piece of work failed, and whether it left something behind.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) left: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            left: error.world() == World::Unknown,
            error,
        }
    }
}

impl Jobs {
    /// Starts the work under this key, unless it runs.
    pub(crate) fn start<F>(&self, key: &OperationKey, work: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = Result<Value, Failed>> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if running.contains_key(key) {
            return;
        }
        let (sender, over) = watch::channel(None);
        let stop = Stop::default();
        if lock(&self.stopped).remove(key) {
            stop.ask();
        }
        let work = work(stop.clone());
        tokio::spawn(async move {
            let result = work.await;
            // Who no longer listens asks again by the key.
            let _ = sender.send(Some(result));
        });
        running.insert(key.clone(), Running { over, stop });
    }

    /// What became of it, once it is over. None: it does not run.
    pub(crate) async fn observe(&self, key: &OperationKey) -> Option<CustomObservation> {
        let mut over = lock(&self.running).get(key)?.over.clone();
        let result = match over.wait_for(Option::is_some).await {
            Ok(result) => result.clone().expect("waited for"),
            Err(_) => {
                let error = Error::new(ErrorKind::Internal, "it ended without a word")
                    .advise("Look for a panic in the log")
                    .leaving(World::Unknown);
                Err(Failed { error, left: true })
            }
        };
        lock(&self.running).remove(key);
        Some(match result {
            Ok(value) => CustomObservation::Done(value),
            Err(Failed { error, left }) => CustomObservation::Failed {
                error,
                left: left.then_some(Value::Null),
            },
        })
    }

    /// Asks it to stop, now or as soon as it starts.
    pub(crate) fn cancel(&self, key: &OperationKey) {
        match lock(&self.running).get(key) {
            Some(running) => running.stop.ask(),
            None => {
                lock(&self.stopped).insert(key.clone());
            }
        }
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        for running in lock(&self.running).values() {
            running.stop.ask();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step, so what a panic left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
