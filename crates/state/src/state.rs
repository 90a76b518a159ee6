use std::fmt::{Debug, Display};

use async_trait::async_trait;
use stillpoint_core::Result;

use crate::batch::Batch;
use crate::entry::{Committed, Entry, Revision};
use crate::key::prefix_end;
use crate::scan::Scan;

/// Ordered keys with values, and batches that are committed whole or not at all.
///
/// Keys sort by their bytes. Everybody passes an `Arc<dyn State>` around; any number of callers,
/// in any number of processes where the implementation serves several, may use one at a time.
///
/// An implementation proves itself with the `conformance` feature's kit.
#[async_trait]
pub trait State: Debug + Display + Send + Sync + 'static {
    /// The entry under `key`, as of a commit no older than the last one that was acknowledged to
    /// anybody before this call.
    ///
    /// # Errors
    ///
    /// `Corrupt` where what is stored is not what was written, `Unavailable` where it cannot be
    /// reached. A key that no batch could write is simply absent.
    async fn get(&self, key: &str) -> Result<Option<Entry>>;

    /// All entries from `from` on and before `to`, in the order of their keys, as of one revision.
    ///
    /// An empty `to` is the end of all keys; for a prefix see [`StateExt::scan_prefix`]. The
    /// entries are read in pages while the scan is polled, and later commits do not show. Do not
    /// keep a scan for long: the state cannot reuse the space of what it may still have to read.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), here and from the scan itself.
    async fn scan(&self, from: &str, to: &str) -> Result<Scan>;

    /// Applies all writes of the batch if all its guards hold, and nothing otherwise.
    ///
    /// When it returns, the batch is durable as far as the implementation ever is. Dropping the
    /// future leaves open whether the batch is committed: read, or repeat it with guards.
    ///
    /// # Errors
    ///
    /// - `Conflict` naming the keys where a guard failed; [`Conflict::of`](crate::Conflict::of)
    ///   has them as values. Nothing was changed.
    /// - `Invalid` where the batch is over its limits or contradicts itself. Nothing was changed.
    /// - `Quota` where there is no room for it, `Unavailable` where it failed otherwise. Ask
    ///   [`world()`](stillpoint_core::Error::world): after `World::Unknown` the batch may be found
    ///   committed, whole, or never.
    async fn commit(&self, batch: Batch) -> Result<Committed>;

    /// Waits until a key with this prefix was written or deleted by a commit after `since`.
    ///
    /// Returns at once if there was one already. It may return early, with nothing changed, and
    /// does so where it no longer knows; it never misses a change. So read, act, and wait with the
    /// revision of what was read:
    ///
    /// ```
    /// # use stillpoint_core::Result;
    /// # use stillpoint_state::{Revision, State, StateExt};
    /// # async fn watch(state: &dyn State) -> Result<()> {
    /// loop {
    ///     let scan = state.scan_prefix("job/").await?;
    ///     let seen = scan.revision();
    ///     // … look at the entries …
    ///     state.changed("job/", seen).await?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unavailable` where nothing can be committed any more.
    async fn changed(&self, prefix: &str, since: Revision) -> Result<()>;
}

/// Comfort above the four verbs, for every [`State`].
#[async_trait]
pub trait StateExt: State {
    /// All entries whose key starts with `prefix`. See [`State::scan`].
    async fn scan_prefix(&self, prefix: &str) -> Result<Scan> {
        self.scan(prefix, &prefix_end(prefix)).await
    }
}

impl<S: State + ?Sized> StateExt for S {}
