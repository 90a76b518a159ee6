//! Points before every change to the folder at which a test can kill the process or fail it.
//!
//! A feature and not a trait object: without it nothing of this is in the library, and with it
//! the very code that ships is what is killed.

use std::fs::File;
use std::panic::Location;
use std::path::PathBuf;

/// Told before every change to the folder, and of what kind it is.
#[cfg(not(feature = "failpoint"))]
#[inline(always)]
pub(crate) fn reached(_step: Step) -> std::io::Result<()> {
    Ok(())
}

/// Told after every change to the folder and every fsync.
#[cfg(not(feature = "failpoint"))]
#[inline(always)]
pub(crate) fn did<'a>(_did: impl FnOnce() -> Did<'a>) {}

/// Whether a test wants the fsync of this line left out.
#[cfg(not(feature = "failpoint"))]
#[inline(always)]
pub(crate) fn leaves_out(_what: &str, _site: &'static Location<'static>) -> bool {
    false
}

#[cfg(feature = "failpoint")]
pub use armed::{Held, hold_copies, passed, watch};
#[cfg(feature = "failpoint")]
pub(crate) use armed::{did, leaves_out, reached};

/// What was done to the folder: all that a power loss may take back, and what it may not.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "failpoint"),
    allow(dead_code, unreachable_pub, reason = "without tests nobody looks")
)]
pub enum Did<'a> {
    /// The file has other bytes, another length or other rights.
    Filled(&'a File),
    /// The folder was made.
    MadeFolder(PathBuf),
    /// The file has another name, in the place of what had it.
    Moved {
        /// Its name before.
        from: PathBuf,
        /// Its name now.
        to: PathBuf,
    },
    /// The file is there, under this name and empty.
    Named(PathBuf, &'a File),
    /// The name is gone.
    Removed(PathBuf),
    /// The file survives a power loss as it is, since the fsync of this line.
    SyncedFile(&'a File, &'static Location<'static>),
    /// The folder's names survive a power loss as they are, since the fsync of this line.
    SyncedNames(PathBuf, &'static Location<'static>),
}

/// A kind of change to the folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// It is the next piece of a copy, and needs space.
    Copy,
    /// It frees space, so that a full disk lets it pass.
    Free,
    /// It needs space.
    Use,
}

#[cfg(feature = "failpoint")]
mod armed {
    use std::io;
    use std::panic::Location;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Did, Step};

    /// What is to happen, from the environment: `kill:7` kills the process before its 7th
    /// change; `full:7` makes the disk full from its 7th on; `once:7` fails the 7th alone.
    const VARIABLE: &str = "STILLPOINT_LOCAL_FAIL";

    static PASSED: AtomicU64 = AtomicU64::new(0);

    /// How many points this process has come by: one more than the last at which something can
    /// be made to happen.
    pub fn passed() -> u64 {
        PASSED.load(Ordering::SeqCst)
    }

    /// Copies of this process wait before their next piece, until it is dropped.
    #[derive(Debug)]
    pub struct Held {
        _copies: MutexGuard<'static, ()>,
    }

    /// Has all copies wait.
    pub fn hold_copies() -> Held {
        Held { _copies: copies() }
    }

    fn copies() -> MutexGuard<'static, ()> {
        static COPIES: Mutex<()> = Mutex::new(());
        COPIES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reached(step: Step) -> io::Result<()> {
        let now = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
        if step == Step::Copy {
            drop(copies());
        }
        match plan() {
            Some(("kill", at)) if now == *at => {
                kill_process(getpid(), Signal::KILL)?;
                unreachable!("SIGKILL cannot be survived")
            }
            Some(("full", from)) if now >= *from && step != Step::Free => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(("once", at)) if now == *at => Err(io::Error::other("failed by a test")),
            _ => Ok(()),
        }
    }

    /// The fsync to leave out, from the environment: `file src/take.rs:223` or `names …`.
    const LEFT_OUT: &str = "STILLPOINT_LOCAL_LEAVE_OUT";

    pub(crate) fn leaves_out(what: &str, site: &'static Location<'static>) -> bool {
        static LEFT: OnceLock<Option<String>> = OnceLock::new();
        LEFT.get_or_init(|| std::env::var(LEFT_OUT).ok())
            .as_ref()
            .is_some_and(|left| *left == format!("{what} {}:{}", site.file(), site.line()))
    }

    type Watcher = Box<dyn FnMut(Did<'_>) + Send>;

    static WATCHER: Mutex<Option<Watcher>> = Mutex::new(None);

    /// Has all that is done to folders told to this one; none: to nobody any more.
    pub fn watch(watcher: Option<Watcher>) {
        *WATCHER.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
    }

    pub(crate) fn did<'a>(did: impl FnOnce() -> Did<'a>) {
        let mut watcher = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = &mut *watcher {
            watcher(did());
        }
    }

    fn plan() -> &'static Option<(&'static str, u64)> {
        static PLAN: OnceLock<Option<(&str, u64)>> = OnceLock::new();
        PLAN.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let (what, at) = text.split_once(':')?;
            let what = ["full", "kill", "once"]
                .into_iter()
                .find(|known| *known == what)?;
            Some((what, at.parse().ok()?))
        })
    }
}
