use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use futures_util::stream;
use redb::{ReadOnlyTable, ReadableDatabase};
use stillpoint_core::Result;

use crate::entry::Entry;
use crate::redb::database::Shared;
use crate::redb::{blocking, error, table};
use crate::scan::Scan;

/// Most entries, and about the most bytes, that are read ahead.
const PAGE_ENTRIES: usize = 512;
const PAGE_BYTES: usize = 1 << 20;

/// The part of a scan that is not read yet.
pub(super) struct Pages {
    shared: Arc<Shared>,
    /// Keeps the revision as long as it is here.
    entries: ReadOnlyTable<&'static str, (u64, &'static [u8])>,
    from: Bound<String>,
    to: String,
    page: VecDeque<Entry>,
    /// Nothing comes after `page`.
    at_end: bool,
}

impl Pages {
    pub(super) fn begin(shared: Arc<Shared>, from: String, to: String) -> Result<Scan> {
        let (revision, entries) = shared.read(|database| {
            let transaction = database.begin_read()?;
            Ok((
                table::revision_of(&transaction)?,
                transaction.open_table(table::ENTRIES)?,
            ))
        })?;
        let pages = Self {
            shared,
            entries,
            at_end: !to.is_empty() && from >= to,
            from: Bound::Included(from),
            to,
            page: VecDeque::new(),
        };
        let entries = stream::try_unfold(pages, Self::next);
        Ok(Scan::new(revision, Box::pin(entries)))
    }

    async fn next(mut self) -> Result<Option<(Entry, Self)>> {
        if self.page.is_empty() && !self.at_end {
            self = blocking(move || {
                self.fill()?;
                Ok(self)
            })
            .await?;
        }
        Ok(self.page.pop_front().map(|entry| (entry, self)))
    }

    fn fill(&mut self) -> Result<()> {
        // Pages in the cache outlive the file; a scan should not depend on which those are.
        self.shared.opened()?;
        self.read_page()
            .map_err(|source| error::redb("read", self.shared.path(), source))?;
        if let Some(last) = self.page.back() {
            self.from = Bound::Excluded(last.key.clone());
        }
        Ok(())
    }

    fn read_page(&mut self) -> Result<(), redb::Error> {
        let from = self.from.as_ref().map(String::as_str);
        let to = match self.to.as_str() {
            "" => Bound::Unbounded,
            to => Bound::Excluded(to),
        };
        let mut bytes = 0;
        for found in self.entries.range::<&str>((from, to))? {
            let (key, stored) = found?;
            bytes += stored.value().1.len();
            self.page
                .push_back(table::entry(key.value(), stored.value()));
            if self.page.len() == PAGE_ENTRIES || bytes >= PAGE_BYTES {
                return Ok(());
            }
        }
        self.at_end = true;
        Ok(())
    }
}
