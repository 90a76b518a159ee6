use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use stillpoint_core::{Error, ErrorKind, JobId, Result, SnapshotId};
use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::clock::Clock;
use crate::drive::Order;
use crate::event::{JobEvent, What};
use crate::executor::CustomPlanner;
use crate::meter::Meter;
use crate::schedules::Ledger;
use crate::store::Store;
use crate::work::Workshop;

/// What an engine and all its drivers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) workshop: Workshop,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) planners: BTreeMap<String, Arc<dyn CustomPlanner>>,
    pub(crate) holder: String,
    pub(crate) read_only: bool,
    pub(crate) events: broadcast::Sender<JobEvent>,
    pub(crate) entropy: Mutex<Entropy>,
    /// Jobs to be driven: their end is with whoever runs the engine.
    pub(crate) starts: mpsc::UnboundedSender<JobId>,
    pub(crate) started: Mutex<Option<mpsc::UnboundedReceiver<JobId>>>,
    /// How to reach the drivers.
    pub(crate) drivers: Mutex<BTreeMap<JobId, mpsc::UnboundedSender<Order>>>,
    /// How far the jobs are: kept from one driver of a job to the next, so that no listener sees
    /// it go back.
    pub(crate) meters: Mutex<BTreeMap<JobId, Arc<Mutex<Meter>>>>,
    /// Jobs that no driver can go on with, and why.
    pub(crate) given_up: Mutex<BTreeMap<JobId, Error>>,
    pub(crate) gave_up: Notify,
    pub(crate) running: AtomicBool,
    pub(crate) phase: watch::Sender<Phase>,
}

/// Whether an engine drives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    Driving,
    Ended,
    Ending(std::time::Duration),
}

/// Where ids get what makes them unique.
#[derive(Debug)]
pub(crate) enum Entropy {
    /// The operating system.
    System,
    /// A counter that starts at a seed: equal seeds, equal ids.
    Seeded(u64),
}

impl Shared {
    pub(crate) fn tell(&self, job: JobId, what: What) {
        // Nobody listening is no reason to fail.
        let _ = self.events.send(JobEvent {
            at: self.clock.now(),
            job,
            what,
        });
    }

    /// What measures a job's progress, and did so for an earlier driver.
    pub(crate) fn meter(&self, job: JobId, new: impl FnOnce() -> Meter) -> Arc<Mutex<Meter>> {
        let mut meters = lock(&self.meters);
        let meter = meters
            .entry(job)
            .or_insert_with(|| Arc::new(Mutex::new(new())));
        Arc::clone(meter)
    }

    pub(crate) fn job_id(&self) -> Result<JobId> {
        Ok(JobId::new(self.clock.now(), self.entropy()?))
    }

    pub(crate) fn snapshot_id(&self, at: Timestamp) -> Result<SnapshotId> {
        Ok(SnapshotId::new(at, self.entropy()?))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// The way to the driver of a job.
    pub(crate) fn driver(&self, job: JobId) -> Option<mpsc::UnboundedSender<Order>> {
        lock(&self.drivers).get(&job).cloned()
    }

    fn entropy(&self) -> Result<[u8; 10]> {
        let mut bytes = [0; 10];
        match &mut *lock(&self.entropy) {
            Entropy::System => getrandom::fill(&mut bytes).map_err(|source| {
                Error::new(ErrorKind::Unavailable, "the system gives no random bytes")
                    .because(source)
            })?,
            Entropy::Seeded(next) => {
                // Any odd multiplier spreads a counter over the bits without a repetition.
                let spread = next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                bytes[..8].copy_from_slice(&spread.to_be_bytes());
                *next = next.wrapping_add(1);
            }
        }
        Ok(bytes)
    }
}

/// What a panicking holder left behind is still whole: each of these is changed in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
