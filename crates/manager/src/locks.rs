//! Locking the components in levels, and unlocking them in reverse, whatever happened.

use stillpoint_core::{Error, ErrorKind, Result, World};

use crate::failure::guarded;
use crate::manager::{Inner, Named};
use crate::mutex::lock;

/// How often an unlock is tried at once.
const TRIES: u32 = 3;

impl Inner {
    /// Locks one level for a holder; where one fails, the level is unlocked again.
    pub(crate) fn lock_level(&self, level: usize, holder: &str) -> Result<()> {
        let locked = self
            .of_level(level)
            .try_for_each(|it| guarded(&it.name, || it.component.lock(holder)));
        match locked {
            Ok(()) => {
                lock(&self.held).insert((holder.to_owned(), level));
                Ok(())
            }
            Err(error) => match self.unlock_level(level, holder) {
                Ok(()) => Err(error),
                Err(stuck) => Err(error.reason(stuck.message()).leaving(World::Unknown)),
            },
        }
    }

    /// Unlocks one level, all of it that can be.
    pub(crate) fn unlock_level(&self, level: usize, holder: &str) -> Result<()> {
        lock(&self.held).remove(&(holder.to_owned(), level));
        let reversed: Vec<&Named> = self.of_level(level).collect();
        let mut stuck: Option<Error> = None;
        for Named { name, component } in reversed.into_iter().rev() {
            let unlock = || guarded(name, || component.unlock(holder));
            let mut result = unlock();
            for _ in 1..TRIES {
                if result.is_ok() {
                    break;
                }
                result = unlock();
            }
            if let Err(error) = result {
                stuck = Some(match stuck {
                    None => Error::new(
                        ErrorKind::Unavailable,
                        format!("it is still locked: {}", error.message()),
                    )
                    .advise("Unlock it by hand")
                    .leaving(World::Unknown),
                    Some(first) => first.reason(error.message()),
                });
            }
        }
        stuck.map_or(Ok(()), Err)
    }

    /// Locks level after level; where one fails, nothing is locked any more.
    pub(crate) fn lock_all(&self, holder: &str, check: impl Fn() -> Result<()>) -> Result<()> {
        for level in 0..self.levels.len() {
            let locked = self.lock_level(level, holder).and_then(|()| check());
            if let Err(error) = locked {
                return match self.unlock_all(holder) {
                    Ok(()) => Err(error),
                    Err(stuck) => Err(error.reason(stuck.message()).leaving(World::Unknown)),
                };
            }
        }
        Ok(())
    }

    /// Unlocks all levels in reverse, all of them that can be.
    pub(crate) fn unlock_all(&self, holder: &str) -> Result<()> {
        let mut result = Ok(());
        for level in (0..self.levels.len()).rev() {
            result = result.and(self.unlock_level(level, holder));
        }
        result
    }

    /// Locks again what a job had locked before this process began. A lock that outlived the last
    /// one is held by its holder, and so this changes nothing there.
    pub(crate) fn keep_locked(&self, holder: &str) -> Result<()> {
        let _one_at_a_time = lock(&self.locking);
        for level in 0..self.levels.len() {
            if !lock(&self.held).contains(&(holder.to_owned(), level)) {
                self.lock_level(level, holder)?;
            }
        }
        Ok(())
    }

    fn of_level(&self, level: usize) -> impl Iterator<Item = &Named> {
        let numbers = self.levels.get(level).into_iter().flatten();
        numbers.map(|at| &self.components[*at])
    }
}
