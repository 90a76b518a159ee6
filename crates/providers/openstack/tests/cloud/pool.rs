use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::hand::{Hand, lab};

/// A project of the lab that one test has for itself.
#[derive(Clone)]
pub(crate) struct Project {
    /// The name that the provider logs in under.
    pub(crate) cloud: String,
    /// And that of the hand.
    pub(crate) name: String,
    /// It stays from test to test: the stock SDK takes seconds to load.
    pub(crate) hand: Arc<Hand>,
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cloud)
    }
}

struct Pool {
    free: Mutex<Option<Vec<Project>>>,
    changed: Condvar,
}

static POOL: Pool = Pool {
    free: Mutex::new(None),
    changed: Condvar::new(),
};

/// Waits for so many projects at once. Tests wait here, each on a thread of its own.
fn take(wanted: impl Fn(usize) -> usize) -> Vec<Project> {
    let wanted = wanted(names().len());
    let mut free = POOL.free.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let there = free.get_or_insert_with(all);
        if there.len() >= wanted {
            return there.drain(..wanted).collect();
        }
        free = POOL
            .changed
            .wait(free)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// The one with an application credential, and those that were made for tests: by what the
/// provider and the hand call them.
fn names() -> Vec<(String, String)> {
    let clouds = std::fs::read_to_string(lab().join("clouds.yaml")).expect("the lab is up");
    let tests = clouds.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        let ours = name.starts_with("tests-");
        ours.then(|| (name.to_owned(), name.to_owned()))
    });
    let first = ("demo-appcred".to_owned(), "demo".to_owned());
    [first].into_iter().chain(tests).collect()
}

fn all() -> Vec<Project> {
    let projects = names().into_iter().map(|(cloud, name)| Project {
        hand: Arc::new(Hand::of(&name)),
        cloud,
        name,
    });
    projects.collect()
}

/// Projects that are free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Vec<Project>);

impl Held {
    pub(crate) fn one() -> Self {
        Self(take(|_| 1))
    }

    /// All of them: for what would disturb other tests.
    pub(crate) fn all() -> Self {
        Self(take(|all| all))
    }

    pub(crate) fn first(&self) -> &Project {
        &self.0[0]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut free = POOL.free.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = free.as_mut() {
            free.append(&mut self.0);
        }
        POOL.changed.notify_all();
    }
}
