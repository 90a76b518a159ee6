use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillpoint_iaas::OperationKey;
use tokio::task::AbortHandle;

/// The operations of several calls that this process carries on, and why some could not be.
#[derive(Debug, Default)]
pub(crate) struct Carried(Arc<Mutex<BTreeMap<OperationKey, State>>>);

#[derive(Debug)]
enum State {
    Failed(String),
    Going(AbortHandle),
}

impl Carried {
    /// Carries an operation on in the background, until it is over or this is dropped.
    pub(crate) fn begin(
        &self,
        key: &OperationKey,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (all, own) = (Arc::downgrade(&self.0), key.clone());
        let mut held = self.lock();
        let going = tokio::spawn(async move {
            work.await;
            if let Some(all) = all.upgrade() {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                if matches!(all.get(&own), Some(State::Going(_))) {
                    all.remove(&own);
                }
            }
        });
        held.insert(key.clone(), State::Going(going.abort_handle()));
    }

    pub(crate) fn is_carried(&self, key: &OperationKey) -> bool {
        matches!(self.lock().get(key), Some(State::Going(_)))
    }

    pub(crate) fn fail(&self, key: &OperationKey, why: String) {
        self.lock().insert(key.clone(), State::Failed(why));
    }

    pub(crate) fn why(&self, key: &OperationKey) -> Option<String> {
        match self.lock().get(key) {
            Some(State::Failed(why)) => Some(why.clone()),
            _ => None,
        }
    }

    pub(crate) fn end(&self, key: &OperationKey) {
        let mut held = self.lock();
        if let Some(State::Going(going)) = held.get(key) {
            going.abort();
            held.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OperationKey, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        for state in self.lock().values() {
            if let State::Going(going) = state {
                going.abort();
            }
        }
    }
}
