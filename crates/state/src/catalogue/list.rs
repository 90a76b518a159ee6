use std::cmp::Ordering;

use futures_util::TryStreamExt;
use stillpoint_core::{Error, ErrorKind, Result};

use crate::catalogue::query::Head;
use crate::catalogue::{self, Catalogue, Cursor, Order, Page, Query, SortBy};
use crate::codec;
use crate::entry::Entry;
use crate::state::StateExt;

impl Catalogue {
    /// The snapshots that meet the query, as of one revision.
    ///
    /// It reads every row, and keeps at most twice as many as it may have to return.
    ///
    /// # Errors
    ///
    /// `Invalid` where the cursor is of a list in another order; `Corrupt` where a row cannot be
    /// read. Those of the [`State`](crate::State).
    pub async fn list(&self, query: &Query) -> Result<Page> {
        check_cursor(query)?;
        let mut scan = self.state.scan_prefix(catalogue::PREFIX).await?;
        let revision = scan.revision();
        let mut first = First::new(query);
        while let Some(entry) = scan.try_next().await? {
            let head: Head = codec::decode(&entry)?;
            if query.matches(&head) {
                first.offer(query.place(head), entry);
            }
        }
        let total = first.total;
        let (page, next) = first.finish();
        let rows = page.iter().map(catalogue::row).collect::<Result<_>>()?;
        Ok(Page {
            rows,
            total,
            next,
            revision,
        })
    }
}

/// The first rows in the order of a query, of all that are offered in whatever order.
struct First<'a> {
    query: &'a Query,
    /// How many to keep: those to return, those to leave out, and one that tells whether there
    /// are more.
    keep: usize,
    rows: Vec<(Cursor, Entry)>,
    total: usize,
}

impl<'a> First<'a> {
    fn new(query: &'a Query) -> Self {
        let keep = query.limit.map_or(usize::MAX, |limit| {
            limit.saturating_add(query.offset).saturating_add(1)
        });
        Self {
            query,
            keep,
            rows: Vec::new(),
            total: 0,
        }
    }

    fn offer(&mut self, place: Cursor, row: Entry) {
        self.total += 1;
        if let Some(after) = &self.query.after
            && compare(self.query.order, &place, after) != Ordering::Greater
        {
            return;
        }
        self.rows.push((place, row));
        if self.rows.len() >= self.keep.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let order = self.query.order;
        self.rows
            .sort_unstable_by(|a, b| compare(order, &a.0, &b.0));
        self.rows.truncate(self.keep);
    }

    /// The rows of the page, and where the next one begins.
    fn finish(mut self) -> (Vec<Entry>, Option<Cursor>) {
        self.cut();
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let end = self.query.offset.saturating_add(limit);
        let more = self.rows.len() > end;
        self.rows.truncate(end);
        let next = self
            .rows
            .last()
            .filter(|_| more)
            .map(|(place, _)| place.clone());
        let page = self.rows.into_iter().skip(self.query.offset);
        (page.map(|(_, row)| row).collect(), next)
    }
}

fn compare(order: Order, a: &Cursor, b: &Cursor) -> Ordering {
    match order {
        Order::Ascending => a.cmp(b),
        Order::Descending => b.cmp(a),
    }
}

fn check_cursor(query: &Query) -> Result<()> {
    match (query.sort, &query.after) {
        (_, None)
        | (SortBy::Date, Some(Cursor::Date(..)))
        | (SortBy::Name, Some(Cursor::Name(..))) => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "the cursor is of a list in another order",
        )
        .advise("Turn pages with one and the same query")),
    }
}
