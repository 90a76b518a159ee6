use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::TryStreamExt;
use stillpoint_core::Result;

use crate::entry::{Entry, Revision};

/// The entries of a range of keys as of one revision: a [`Stream`] in the order of the keys.
#[must_use = "a scan reads nothing until it is polled"]
pub struct Scan {
    revision: Revision,
    entries: BoxStream<'static, Result<Entry>>,
}

impl Scan {
    /// A scan of these entries, for implementations of [`State`](crate::State).
    pub fn new(revision: Revision, entries: BoxStream<'static, Result<Entry>>) -> Self {
        Self { revision, entries }
    }

    /// The revision that all entries are of: every commit up to it shows, and none after it.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// All entries at once, for a range known to be small.
    ///
    /// # Errors
    ///
    /// The first error of the scan.
    pub async fn collect(self) -> Result<Vec<Entry>> {
        self.entries.try_collect().await
    }
}

impl Stream for Scan {
    type Item = Result<Entry>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.entries.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
