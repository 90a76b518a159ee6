use std::sync::Mutex;

use serde_json::Value;
use stillpoint_core::{Progress, Unit};
use tokio::sync::watch;

use super::Failed;
use super::stop::Stop;
use crate::shared::lock;

/// What a piece of work is told, and tells.
#[derive(Clone, Debug)]
pub struct Line {
    stop: Stop,
    status: watch::Sender<Status>,
}

/// Tells how many bytes are done, each hundredth of them at most.
#[derive(Debug)]
pub struct Meter {
    line: Line,
    told: Mutex<Progress>,
}

#[derive(Clone, Debug)]
pub(super) enum Status {
    Over(Result<Value, Failed>),
    Running(Option<Progress>),
}

impl Line {
    pub(super) fn new(stop: Stop, status: watch::Sender<Status>) -> Self {
        Self { stop, status }
    }

    /// Whether it is to stop.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// A meter of so many bytes.
    pub fn meter(&self, total: u64) -> Meter {
        Meter {
            line: self.clone(),
            told: Mutex::new(Progress::new(Unit::Bytes, total)),
        }
    }
}

impl Meter {
    /// So many bytes from the start are done. Fewer than before changes nothing: who work side by
    /// side tell of it in any order.
    pub fn reach(&self, bytes: u64) {
        let mut told = lock(&self.told);
        let due = told.done().saturating_add(told.total() / 100);
        if bytes > due || (bytes >= told.total() && told.fraction() < 1.0) {
            told.advance_to(bytes);
            // Part of the work may run on after its end, which is what counts.
            self.line.status.send_if_modified(|status| {
                let runs = matches!(status, Status::Running(_));
                if runs {
                    *status = Status::Running(Some(*told));
                }
                runs
            });
        }
    }
}
