//! The time in which all components are locked, and their point in time is fixed.

use std::time::Instant;

use stillpoint_core::{Result, World};

use crate::failure::guarded;
use crate::manager::{Inner, Named};
use crate::metadata::Window;
use crate::site::Site;

/// Locks everything, fixes these components, and unlocks everything, whatever happens.
pub(super) fn fix_locked(
    inner: &Inner,
    holder: &str,
    components: &[(&Named, Site)],
) -> Result<Window> {
    // What an earlier process of this job had locked when it died.
    inner.unlock_all(holder)?;
    let (begin, start) = (inner.clock.now(), Instant::now());
    let deadline = start + inner.budget;
    let check = || match components.first() {
        Some((_, site)) => site.until(deadline).check(),
        None => Ok(()),
    };
    inner.lock_all(holder, check)?;
    let fixed = fix(components, Some(deadline)).and_then(|()| check());
    let unlocked = inner.unlock_all(holder);
    let window = Window {
        begin,
        end: inner.clock.now(),
        micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
    };
    match (fixed, unlocked) {
        (Ok(()), Ok(())) => Ok(window),
        (Ok(()), Err(stuck)) => Err(stuck),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(stuck)) => Err(error.reason(stuck.message()).leaving(World::Unknown)),
    }
}

/// Fixes these components, which somebody else has locked.
pub(super) fn fix_held(inner: &Inner, components: &[(&Named, Site)]) -> Result<Window> {
    let (begin, start) = (inner.clock.now(), Instant::now());
    fix(components, None)?;
    Ok(Window {
        begin,
        end: inner.clock.now(),
        micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
    })
}

fn fix(components: &[(&Named, Site)], deadline: Option<Instant>) -> Result<()> {
    for (Named { name, component }, site) in components {
        let site = match deadline {
            Some(deadline) => site.until(deadline),
            None => site.clone(),
        };
        site.check()?;
        guarded(name, || component.fix(&site))?;
    }
    Ok(())
}
