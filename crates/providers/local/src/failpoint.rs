//! Points before every change to the folder at which a test can kill the process or fail it.
//!
//! A feature and not a trait object: without it nothing of this is in the library, and with it
//! the very code that ships is what is killed.

/// Told before every change to the folder, and of what kind it is.
#[cfg(not(feature = "failpoint"))]
#[inline(always)]
pub(crate) fn reached(_step: Step) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoint")]
pub(crate) use armed::reached;
#[cfg(feature = "failpoint")]
pub use armed::{Held, hold_copies, passed};

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
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    use super::Step;

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
