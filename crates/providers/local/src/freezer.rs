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

    /// Flushes the instance's file systems and holds its writes; on return nothing writes.
    ///
    /// After `at_most` the instance **must thaw by itself**, even if this process was killed:
    /// have the guest's agent or a process of its own count the time. This library counts it
    /// too and thaws, which a killed process no longer does.
    ///
    /// # Errors
    ///
    /// Any; the instance is thawed then.
    fn freeze(&self, instance: &ResourceRef, at_most: Duration) -> Result<()>;

    /// Lets it write again. One that is not frozen is a success.
    ///
    /// # Errors
    ///
    /// Any; it is then left to thaw by itself.
    fn thaw(&self, instance: &ResourceRef) -> Result<()>;
}
