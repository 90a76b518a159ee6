//! The work that runs in this process, by its key.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_iaas::OperationKey;
use tokio::sync::watch;

use super::line::{Line, Status};
use super::stop::Stop;
use super::{Failed, Running};
use crate::executor::CustomObservation;
use crate::shared::lock;

/// What runs. Dropping it asks everything to stop.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: Mutex<HashMap<OperationKey, Task>>,
    /// Cancelled before anybody here knew of it: after a crash the two orders are possible.
    stopped: Mutex<HashSet<OperationKey>>,
}

#[derive(Debug)]
struct Task {
    status: watch::Receiver<Status>,
    stop: Stop,
}

impl Tasks {
    /// Starts the work under this key, unless it runs.
    pub(super) fn start(
        &self,
        key: &OperationKey,
        begin: impl FnOnce(Line) -> Result<Running>,
    ) -> Result<()> {
        let mut running = lock(&self.running);
        if running.contains_key(key) {
            return Ok(());
        }
        let (sender, status) = watch::channel(Status::Running(None));
        let stop = Stop::default();
        let work = begin(Line::new(stop.clone(), sender.clone()))?;
        if lock(&self.stopped).remove(key) {
            stop.ask();
        }
        tokio::spawn(async move {
            let over = Status::Over(work.await);
            // Who no longer listens asks again by the key.
            let _ = sender.send(over);
        });
        running.insert(key.clone(), Task { status, stop });
        Ok(())
    }

    /// What becomes of it: returns when there is something new to say. None: it does not run.
    pub(super) async fn observe(
        &self,
        key: &OperationKey,
    ) -> Option<Result<CustomObservation, Failed>> {
        let mut status = lock(&self.running).get(key)?.status.clone();
        let over = matches!(*status.borrow_and_update(), Status::Over(_));
        if !over && status.changed().await.is_err() {
            lock(&self.running).remove(key);
            let error = Error::new(ErrorKind::Internal, "it ended without a word")
                .advise("Look for a panic in the log")
                .leaving(World::Unknown);
            return Some(Err(error.into()));
        }
        let now = status.borrow().clone();
        Some(match now {
            Status::Over(result) => {
                lock(&self.running).remove(key);
                result.map(CustomObservation::Done)
            }
            Status::Running(progress) => Ok(CustomObservation::Running {
                progress,
                look_again_in: Duration::ZERO,
            }),
        })
    }

    /// Asks it to stop, now or as soon as it starts.
    pub(super) fn cancel(&self, key: &OperationKey) {
        match lock(&self.running).get(key) {
            Some(running) => running.stop.ask(),
            None => {
                lock(&self.stopped).insert(key.clone());
            }
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for running in lock(&self.running).values() {
            running.stop.ask();
        }
    }
}
