use std::fmt;
use std::time::Duration;

use stillpoint_core::{Consistency, ResourceRef, Result};

/// How the embedder freezes and thaws its instances, so that their volumes can be taken while
/// something writes them.
///
/// Both calls may block: they are made on threads of their own.
pub trait Freezer: fmt::Debug + Send + Sync + 'static {
    /// What a freeze reaches.
    fn consistency(&self) -> Consistency;

    /// Whether it can freeze this instance. One that it can't is taken only while nothing has
    /// its volumes open for writing.
    fn freezes(&self, instance: &ResourceRef) -> bool;

    /// Sees to it that the instance thaws when `at_most` is over **even if this process is
    /// killed**, and says who will do it. Called before every freeze, and nothing is frozen
    /// where it fails or names nobody who outlives this process.
    ///
    /// This library counts the time too and thaws, which a killed process no longer does.
    ///
    /// # Errors
    ///
    /// Any; [`ErrorKind::Unsupported`](stillpoint_core::ErrorKind::Unsupported) where there is
    /// nobody else.
    fn arm(&self, instance: &ResourceRef, at_most: Duration) -> Result<Thaws>;

    /// Flushes the instance's file systems and holds its writes; on return nothing writes.
    ///
    /// # Errors
    ///
    /// Any; the instance is thawed then.
    fn freeze(&self, instance: &ResourceRef, at_most: Duration) -> Result<()>;

    /// Lets it write again, and calls off who was [armed](Self::arm). One that is not frozen is
    /// a success.
    ///
    /// # Errors
    ///
    /// Any; it is then left to thaw by itself.
    fn thaw(&self, instance: &ResourceRef) -> Result<()>;
}

/// Who thaws an instance when its time is over, whatever becomes of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Thaws {
    /// It does, or the agent inside: the time goes with the freeze itself, and is counted there.
    Itself,
    /// Another process: it counts already, and thaws without any help of this one.
    Watchdog {
        /// Its id. It must be there, and not be this process.
        pid: u32,
    },
}
