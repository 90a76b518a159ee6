//! Which instances are frozen right now, and that none stays so.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stillpoint_core::{Consistency, Error, ErrorKind, ResourceRef, Result, Retry};
use stillpoint_iaas::OperationKey;

use crate::freezer::{Freezer, Thaws};

#[derive(Debug)]
pub(crate) struct Freezes {
    hooks: Option<Arc<dyn Freezer>>,
    frozen: Mutex<HashMap<ResourceRef, Frozen>>,
    /// The last thaws asked for, the oldest first.
    thawed: Mutex<VecDeque<OperationKey>>,
}

/// Thaws remembered. One forgotten is observed as absent, and repeating it does no harm.
const THAWS: usize = 1024;

#[derive(Debug)]
struct Frozen {
    by: OperationKey,
    since: Instant,
    /// Whether the hooks have said so.
    complete: bool,
    /// Dropping it calls the watchdog off.
    _watchdog: Sender<()>,
}

/// A freeze that still holds, or did when it was asked for. Equal ones are the same freeze.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hold {
    by: OperationKey,
    since: Instant,
}

impl Freezes {
    pub(crate) fn new(hooks: Option<Arc<dyn Freezer>>) -> Self {
        Self {
            hooks,
            frozen: Mutex::default(),
            thawed: Mutex::default(),
        }
    }

    fn frozen(&self) -> MutexGuard<'_, HashMap<ResourceRef, Frozen>> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a freeze reaches; none where there are no hooks at all.
    pub(crate) fn consistency(&self) -> Option<Consistency> {
        self.hooks.as_ref().map(|hooks| hooks.consistency())
    }

    pub(crate) fn can(&self, instance: &ResourceRef) -> bool {
        self.hooks
            .as_ref()
            .is_some_and(|hooks| hooks.freezes(instance))
    }

    fn hooks(&self, instance: &ResourceRef) -> Result<&Arc<dyn Freezer>> {
        match &self.hooks {
            Some(hooks) if hooks.freezes(instance) => Ok(hooks),
            _ => Err(Error::new(ErrorKind::Unsupported, "nobody can freeze it")
                .on(instance.clone())
                .advise("Open the folder with a Freezer for it, or stop what writes its volumes")),
        }
    }

    /// Freezes it for at most this long, with a watchdog that is awake before it is frozen.
    pub(crate) fn freeze(
        self: &Arc<Self>,
        by: &OperationKey,
        instance: &ResourceRef,
        at_most: Duration,
    ) -> Result<()> {
        let hooks = self.hooks(instance)?;
        let since = Instant::now();
        {
            let mut frozen = self.frozen();
            match frozen.get(instance) {
                Some(other) if other.by == *by => return Ok(()),
                Some(other) => return Err(busy(instance, &other.by)),
                None => {}
            }
            let watchdog = self.watch(instance, since, at_most)?;
            frozen.insert(
                instance.clone(),
                Frozen {
                    by: by.clone(),
                    since,
                    complete: false,
                    _watchdog: watchdog,
                },
            );
        }
        let armed = hooks.arm(instance, at_most);
        if let Err(error) = armed.and_then(|thaws| require_outlives(thaws, instance)) {
            self.frozen().remove(instance);
            return Err(error);
        }
        let frozen = hooks.freeze(instance, at_most);
        let late = since.elapsed() >= at_most;
        if frozen.is_err() || late {
            // It may be half frozen.
            let _ = self.thaw(instance);
        }
        match frozen {
            Ok(()) if !late => {
                if let Some(now) = self.frozen().get_mut(instance) {
                    now.complete = true;
                }
                Ok(())
            }
            Ok(()) => Err(Error::new(
                ErrorKind::Timeout,
                format!("it took longer than the {at_most:?} it may be frozen"),
            )
            .on(instance.clone())
            .advise("Allow more time")
            .leaving(stillpoint_core::World::RolledBack)),
            Err(error) => Err(error),
        }
    }

    /// Thaws it, also where an earlier process froze it.
    pub(crate) fn thaw(&self, instance: &ResourceRef) -> Result<()> {
        self.hooks(instance)?.thaw(instance)?;
        // Only now: a thaw that failed is the watchdog's to repeat.
        self.frozen().remove(instance);
        Ok(())
    }

    /// As [`thaw`](Self::thaw), and remembers that this key has.
    pub(crate) fn thaw_as(&self, key: &OperationKey, instance: &ResourceRef) -> Result<()> {
        self.thaw(instance)?;
        let mut thawed = self.thawed();
        thawed.push_back(key.clone());
        if thawed.len() > THAWS {
            thawed.pop_front();
        }
        Ok(())
    }

    /// Whether this key has thawed in this process. What an earlier one did is not known, and
    /// worth doing again.
    pub(crate) fn has_thawed(&self, key: &OperationKey) -> bool {
        self.thawed().contains(key)
    }

    fn thawed(&self) -> MutexGuard<'_, VecDeque<OperationKey>> {
        self.thawed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The freeze that holds now.
    pub(crate) fn hold(&self, instance: &ResourceRef) -> Option<Hold> {
        let frozen = self.frozen();
        let now = frozen.get(instance).filter(|now| now.complete)?;
        Some(Hold {
            by: now.by.clone(),
            since: now.since,
        })
    }

    /// Whether this key's freeze holds now.
    pub(crate) fn is_held_by(&self, key: &OperationKey, instance: &ResourceRef) -> bool {
        self.hold(instance).is_some_and(|hold| hold.by == *key)
    }

    fn watch(
        self: &Arc<Self>,
        instance: &ResourceRef,
        since: Instant,
        at_most: Duration,
    ) -> Result<Sender<()>> {
        let (call_off, called_off) = mpsc::channel();
        let (freezes, instance) = (Arc::clone(self), instance.clone());
        thread::Builder::new()
            .name("stillpoint-thaw".to_owned())
            .spawn(move || {
                if called_off.recv_timeout(at_most) == Err(RecvTimeoutError::Timeout) {
                    freezes.expire(&instance, since);
                }
            })
            .map_err(|source| {
                Error::new(
                    ErrorKind::Unavailable,
                    "no thread could be started to thaw it",
                )
                .because(source)
            })?;
        Ok(call_off)
    }

    fn expire(&self, instance: &ResourceRef, since: Instant) {
        let expired = {
            let mut frozen = self.frozen();
            let expired = frozen.get(instance).is_some_and(|now| now.since == since);
            if expired {
                frozen.remove(instance);
            }
            expired
        };
        if expired
            && let Ok(hooks) = self.hooks(instance)
            && let Err(error) = hooks.thaw(instance)
        {
            tracing::error!(%error, "an instance could not be thawed in time");
        }
    }
}

/// A freeze for the length of one piece of work, ended on every path out of it.
#[derive(Debug)]
pub(crate) struct Brief<'a> {
    freezes: &'a Arc<Freezes>,
    instance: &'a ResourceRef,
}

impl<'a> Brief<'a> {
    pub(crate) fn freeze(
        freezes: &'a Arc<Freezes>,
        by: &OperationKey,
        instance: &'a ResourceRef,
        at_most: Duration,
    ) -> Result<Self> {
        freezes.freeze(by, instance, at_most)?;
        Ok(Self { freezes, instance })
    }
}

impl Drop for Brief<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.freezes.thaw(self.instance) {
            tracing::error!(%error, "an instance could not be thawed; its watchdog will try again");
        }
    }
}

/// An error unless whoever is to thaw it lives on when this process does not.
fn require_outlives(thaws: Thaws, instance: &ResourceRef) -> Result<()> {
    let pid = match thaws {
        Thaws::Itself => return Ok(()),
        Thaws::Watchdog { pid } => pid,
    };
    let what = if pid == std::process::id() {
        "is this very process"
    } else if is_alive(pid) {
        return Ok(());
    } else {
        "is not there"
    };
    Err(Error::new(
        ErrorKind::Precondition,
        format!("process {pid}, which should thaw it if this one were killed, {what}"),
    )
    .on(instance.clone())
    .advise("Start a process of its own for it before it is frozen"))
}

/// Whether a process runs: one that ended and was not waited for does not.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !['X', 'Z'].contains(&state))
}

fn busy(instance: &ResourceRef, by: &OperationKey) -> Error {
    Error::new(ErrorKind::Busy, format!("it is frozen by {by}"))
        .on(instance.clone())
        .advise("Wait until it is thawed")
        .retry_with(Retry::After(Duration::from_secs(1)))
}
