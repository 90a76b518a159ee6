use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_state::{Batch, Committed, Memory, Revision, State, Write};
use tokio::sync::Notify;

/// What outlives the service: the writes that were acknowledged, and those on their way.
#[derive(Debug)]
pub(crate) struct Disk {
    kept: Memory,
    /// Which keys each commit changed, oldest first.
    log: Mutex<Vec<(Revision, String)>>,
    /// As a watch channel would tell, but in one order for one seed.
    changed: Notify,
    on_the_way: Mutex<OnTheWay>,
}

#[derive(Debug, Default)]
struct OnTheWay {
    last: u64,
    batches: BTreeMap<u64, Batch>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            kept: Memory::new(),
            log: Mutex::default(),
            changed: Notify::new(),
            on_the_way: Mutex::default(),
        }
    }

    /// What was acknowledged.
    pub(crate) fn kept(&self) -> &Memory {
        &self.kept
    }

    /// Takes a batch that is durable once it is [written](Self::write).
    pub(crate) fn accept(&self, batch: Batch) -> u64 {
        let mut on_the_way = lock(&self.on_the_way);
        on_the_way.last += 1;
        let number = on_the_way.last;
        on_the_way.batches.insert(number, batch);
        number
    }

    /// Makes a batch durable.
    pub(crate) fn write(&self, number: u64) -> Result<Committed> {
        let batch = lock(&self.on_the_way).batches.remove(&number);
        let batch = batch.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a write is made that was not accepted")
        })?;
        self.commit(batch)
    }

    /// Forgets a batch.
    pub(crate) fn forget(&self, number: u64) {
        lock(&self.on_the_way).batches.remove(&number);
    }

    /// The process is gone: of what it was writing, some is written all the same.
    pub(crate) fn process_killed(&self, dice: &mut fastrand::Rng) -> usize {
        let batches = std::mem::take(&mut lock(&self.on_the_way).batches);
        let written = batches
            .into_values()
            .filter(|_| dice.bool())
            .filter(|batch| self.commit(batch.clone()).is_ok());
        written.count()
    }

    /// What was not acknowledged is lost.
    pub(crate) fn power_lost(&self) -> usize {
        std::mem::take(&mut lock(&self.on_the_way).batches).len()
    }

    pub(crate) fn commit(&self, batch: Batch) -> Result<Committed> {
        let keys: Vec<_> = batch
            .clone()
            .into_operations()?
            .into_iter()
            .filter_map(|(key, operation)| operation.write.map(|_: Write| key))
            .collect();
        let committed = self
            .kept
            .commit(batch)
            .now_or_never()
            .expect("memory never waits")?;
        let changes = keys.into_iter().map(|key| (committed.revision, key));
        lock(&self.log).extend(changes);
        self.changed.notify_waiters();
        Ok(committed)
    }

    /// See [`State::changed`].
    pub(crate) async fn changed(&self, prefix: &str, since: Revision) {
        loop {
            let changed = self.changed.notified();
            if self.any(prefix, since) {
                return;
            }
            changed.await;
        }
    }

    fn any(&self, prefix: &str, since: Revision) -> bool {
        let log = lock(&self.log);
        let newer = log.partition_point(|(revision, _)| *revision <= since);
        log[newer..].iter().any(|(_, key)| key.starts_with(prefix))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
