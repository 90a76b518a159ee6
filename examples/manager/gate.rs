//! What "locked" means here: writes are refused, and those on their way have ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stillpoint::control::LockOnly;
use stillpoint::{Error, ErrorKind, Result};

/// For how long writes on their way are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lets writes through, unless somebody holds it. A component of its own, which all others depend on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    holder: Option<String>,
    writes: usize,
}

/// A write on its way.
#[derive(Debug)]
pub(crate) struct Pass(Gate);

impl Gate {
    /// Lets a write through.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] while somebody holds it.
    pub(crate) fn pass(&self) -> Result<Pass> {
        self.with(|inner| match &inner.holder {
            None => {
                inner.writes += 1;
                Ok(Pass(self.clone()))
            }
            Some(_) => Err(
                Error::new(ErrorKind::Busy, "a snapshot is being taken or restored")
                    .advise("Try again in a moment"),
            ),
        })
    }

    fn with<T>(&self, does: impl FnOnce(&mut Inner) -> T) -> T {
        does(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.with(|inner| inner.writes -= 1);
    }
}

impl LockOnly for Gate {
    fn lock(&self, holder: &str) -> Result<()> {
        self.with(|inner| match &inner.holder {
            Some(other) if other != holder => {
                let message = format!("job {other} holds it");
                Err(Error::new(ErrorKind::Busy, message).advise("Wait for it"))
            }
            _ => {
                inner.holder = Some(holder.to_owned());
                Ok(())
            }
        })?;
        let start = Instant::now();
        while self.with(|inner| inner.writes) > 0 {
            if start.elapsed() > PATIENCE {
                let message = "a write does not end";
                return Err(Error::new(ErrorKind::Timeout, message).advise("Look which it is"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn unlock(&self, holder: &str) -> Result<()> {
        self.with(|inner| {
            if inner.holder.as_deref() == Some(holder) {
                inner.holder = None;
            }
        });
        Ok(())
    }
}
