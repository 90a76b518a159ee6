use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, ResourceRef, Result, Retry};

/// Which resources an operation of this process reads or changes right now.
///
/// It keeps two of them off each other; other processes are kept out by the lock.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashMap<ResourceRef, Use>>);

#[derive(Debug)]
enum Use {
    Changing,
    Reading(usize),
}

/// Resources claimed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claimed {
    claims: Arc<Claims>,
    resources: Vec<ResourceRef>,
}

impl Claims {
    fn uses(&self) -> MutexGuard<'_, HashMap<ResourceRef, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims all of them or none.
    pub(crate) fn claim(
        self: &Arc<Self>,
        reading: &[&ResourceRef],
        changing: &[&ResourceRef],
    ) -> Result<Claimed> {
        let mut uses = self.uses();
        for resource in reading {
            if matches!(uses.get(*resource), Some(Use::Changing)) {
                return Err(busy(resource));
            }
        }
        for resource in changing {
            if uses.contains_key(*resource) {
                return Err(busy(resource));
            }
        }
        let mut resources = Vec::new();
        for resource in reading {
            match uses.entry((*resource).clone()).or_insert(Use::Reading(0)) {
                Use::Reading(count) => *count += 1,
                Use::Changing => unreachable!("refused above"),
            }
            resources.push((*resource).clone());
        }
        for resource in changing {
            uses.insert((*resource).clone(), Use::Changing);
            resources.push((*resource).clone());
        }
        drop(uses);
        Ok(Claimed {
            claims: Arc::clone(self),
            resources,
        })
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut uses = self.claims.uses();
        for resource in &self.resources {
            match uses.get_mut(resource) {
                Some(Use::Reading(count)) if *count > 1 => *count -= 1,
                _ => {
                    uses.remove(resource);
                }
            }
        }
    }
}

fn busy(resource: &ResourceRef) -> Error {
    Error::new(ErrorKind::Busy, "another operation is using it")
        .on(resource.clone())
        .advise("Wait until that operation is over")
        .retry_with(Retry::After(Duration::from_secs(1)))
}
