use std::fmt;

use stillpoint_core::Result;

use crate::component::Component;
use crate::dump::Dump;
use crate::site::Site;
use crate::stage::Stage;

/// A [`Component`] that keeps others from changing a control plane, and holds nothing itself: a
/// switch to read-only that the components with data depend on.
///
/// ```
/// use std::sync::Mutex;
///
/// use stillpoint_core::{Error, ErrorKind, Result};
/// use stillpoint_manager::{LockOnly, Manager};
///
/// #[derive(Debug, Default)]
/// struct ReadOnly(Mutex<Option<String>>);
///
/// impl LockOnly for ReadOnly {
///     fn lock(&self, holder: &str) -> Result<()> {
///         match &mut *self.0.lock().expect("nobody panics with it") {
///             Some(other) if other != holder => Err(Error::new(ErrorKind::Busy, "held by another")),
///             free => Ok(*free = Some(holder.to_owned())),
///         }
///     }
///
///     fn unlock(&self, holder: &str) -> Result<()> {
///         let mut held = self.0.lock().expect("nobody panics with it");
///         held.take_if(|it| it == holder);
///         Ok(())
///     }
/// }
///
/// let manager = Manager::builder("Control", "7.1.0").component("writes", ReadOnly::default());
/// ```
pub trait LockOnly: fmt::Debug + Send + Sync + 'static {
    /// As [`Component::lock`].
    ///
    /// # Errors
    /// Where it cannot: nothing more is locked, and what was is unlocked.
    fn lock(&self, holder: &str) -> Result<()>;

    /// As [`Component::unlock`].
    ///
    /// # Errors
    /// Where it cannot: it is tried again.
    fn unlock(&self, holder: &str) -> Result<()>;

    /// As [`Component::depends_on`].
    fn depends_on(&self) -> &[String] {
        &[]
    }
}

impl<L: LockOnly> Component for L {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, _: &Stage<'_>) -> Result<()> {
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn depends_on(&self) -> &[String] {
        LockOnly::depends_on(self)
    }

    fn lock(&self, holder: &str) -> Result<()> {
        LockOnly::lock(self, holder)
    }

    fn unlock(&self, holder: &str) -> Result<()> {
        LockOnly::unlock(self, holder)
    }
}
