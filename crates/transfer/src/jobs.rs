//! The work that runs in this process, by its key.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stillpoint_archive::{Cancel, Watch};
use stillpoint_core::{Error, ErrorKind, Progress, Result, Unit};
use stillpoint_engine::CustomObservation;
use stillpoint_iaas::OperationKey;
use tokio::sync::{Notify, watch};

use crate::failure::stopped;

/// What runs. Dropping it asks everything to stop.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    running: Mutex<HashMap<OperationKey, Running>>,
    /// Cancelled before anybody here knew of it: after a crash the two orders are possible.
    stopped: Mutex<HashSet<OperationKey>>,
}

#[derive(Debug)]
struct Running {
    status: watch::Receiver<Status>,
    stop: Stop,
}

#[derive(Clone, Debug)]
enum Status {
    Over(Result<Value, Failed>),
    Running(Option<Progress>),
}

/// Why a piece of work failed, and whether it left something behind.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) left: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, left: false }
    }
}

/// What a piece of work is told, and tells.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) stop: Stop,
    status: watch::Sender<Status>,
}

/// Asks a piece of work to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<Notify>,
    archive: Cancel,
}

impl Jobs {
    /// Starts the work under this key, unless it runs.
    pub(crate) fn start<F>(&self, key: &OperationKey, work: impl FnOnce(Line) -> F)
    where
        F: Future<Output = Result<Value, Failed>> + Send + 'static,
    {
        let mut running = lock(&self.running);
        if running.contains_key(key) {
            return;
        }
        let (sender, status) = watch::channel(Status::Running(None));
        let stop = Stop::default();
        if lock(&self.stopped).remove(key) {
            stop.ask();
        }
        let line = Line {
            stop: stop.clone(),
            status: sender.clone(),
        };
        let work = work(line);
        tokio::spawn(async move {
            let over = Status::Over(work.await);
            // Who no longer listens asks again by the key.
            let _ = sender.send(over);
        });
        running.insert(key.clone(), Running { status, stop });
    }

    /// What becomes of it: returns when there is something new to say. None: it does not run.
    pub(crate) async fn observe(&self, key: &OperationKey) -> Option<CustomObservation> {
        let mut status = lock(&self.running).get(key)?.status.clone();
        let over = matches!(*status.borrow_and_update(), Status::Over(_));
        if !over && status.changed().await.is_err() {
            lock(&self.running).remove(key);
            let error = Error::new(ErrorKind::Internal, "it ended without a word");
            return Some(failed(error.advise("Look for a panic in the log").into()));
        }
        let now = status.borrow().clone();
        Some(match now {
            Status::Over(result) => {
                lock(&self.running).remove(key);
                result.map_or_else(failed, CustomObservation::Done)
            }
            Status::Running(progress) => CustomObservation::Running {
                progress,
                look_again_in: Duration::ZERO,
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

impl Line {
    /// A meter of so many bytes.
    pub(crate) fn meter(&self, total: u64) -> Meter {
        Meter {
            line: self.clone(),
            told: Progress::new(Unit::Bytes, total),
        }
    }

    /// For work of the archive's: stops with this one, and tells how far it is.
    pub(crate) fn watch(&self, total: u64) -> Watch {
        let meter = Mutex::new(self.meter(total));
        Watch::none()
            .cancel(self.stop.archive.clone())
            .progress(move |progress| lock(&meter).reach(progress.bytes))
    }
}

impl Stop {
    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.archive.cancel();
        // One that waits, or the next one that will.
        self.wake.notify_one();
    }

    /// An error where it was asked.
    pub(crate) fn check(&self) -> Result<()> {
        if self.asked.load(Ordering::SeqCst) {
            return Err(stopped());
        }
        Ok(())
    }

    /// Returns once it is asked.
    pub(crate) async fn asked(&self) {
        while self.check().is_ok() {
            self.wake.notified().await;
        }
    }

    /// For work of the archive's.
    pub(crate) fn archive(&self) -> Cancel {
        self.archive.clone()
    }
}

/// Tells how many bytes are done, each hundredth of them at most.
#[derive(Debug)]
pub(crate) struct Meter {
    line: Line,
    told: Progress,
}

impl Meter {
    /// So many bytes from the start are done.
    pub(crate) fn reach(&mut self, bytes: u64) {
        let due = self.told.done().saturating_add(self.told.total() / 100);
        if bytes > due || (bytes >= self.told.total() && self.told.fraction() < 1.0) {
            self.told.advance_to(bytes);
            let _ = self.line.status.send(Status::Running(Some(self.told)));
        }
    }
}

fn failed(Failed { error, left }: Failed) -> CustomObservation {
    CustomObservation::Failed {
        error,
        left: left.then_some(Value::Null),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step, so what a panic left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
