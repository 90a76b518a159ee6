use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Result, Retry};

/// What this process does with which snapshot: Cinder lets a snapshot be deleted while a volume
/// is made from it, and spoils that volume.
#[derive(Debug, Default)]
pub(crate) struct Leases(Arc<Mutex<BTreeMap<String, Use>>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Deleted,
    Read(u32),
}

/// A use that ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lease {
    leases: Arc<Mutex<BTreeMap<String, Use>>>,
    snapshot: String,
}

impl Leases {
    /// For making something from it; refused while it is being deleted.
    pub(crate) fn read(&self, snapshot: &str) -> Result<Lease> {
        self.take(snapshot, |held| match held {
            None => Some(Use::Read(1)),
            Some(Use::Read(readers)) => Some(Use::Read(readers + 1)),
            Some(Use::Deleted) => None,
        })
    }

    /// For deleting it; refused while anything is made from it.
    pub(crate) fn delete(&self, snapshot: &str) -> Result<Lease> {
        self.take(snapshot, |held| held.is_none().then_some(Use::Deleted))
    }

    fn take(&self, snapshot: &str, next: impl Fn(Option<Use>) -> Option<Use>) -> Result<Lease> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = next(held.get(snapshot).copied()) else {
            return Err(busy("it is being used by another operation"));
        };
        held.insert(snapshot.to_owned(), now);
        Ok(Lease {
            leases: Arc::clone(&self.0),
            snapshot: snapshot.to_owned(),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.snapshot) {
            Some(Use::Read(readers)) if *readers > 1 => *readers -= 1,
            _ => drop(held.remove(&self.snapshot)),
        }
    }
}

/// Something else has it; it will be free later.
pub(crate) fn busy(what: &str) -> Error {
    Error::new(ErrorKind::Busy, what)
        .retry_with(Retry::After(Duration::from_secs(2)))
        .advise("Try again when that is over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_deleted_while_it_is_read_nor_read_while_it_is_deleted() {
        let leases = Leases::default();
        let (first, second) = (leases.read("a").unwrap(), leases.read("a").unwrap());
        assert!(leases.delete("a").is_err());
        let other = leases.delete("b").unwrap();
        assert!(leases.read("b").is_err() && leases.delete("b").is_err());
        drop((first, other));
        assert!(leases.delete("a").is_err());
        drop(second);
        let deleted = leases.delete("a").unwrap();
        assert_eq!(leases.read("a").unwrap_err().kind(), ErrorKind::Busy);
        drop(deleted);
        assert!(leases.0.lock().unwrap().is_empty());
    }
}
