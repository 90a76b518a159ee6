use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step, so what a panic left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
