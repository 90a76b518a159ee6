use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{Labels, ResourceRef, SnapshotId, SnapshotState};

use crate::catalogue::Row;
use crate::entry::Revision;

/// Which snapshots to list, and how. The default is all, the newest first.
///
/// All conditions must hold. The *date* of a snapshot is its point in time, or when it was asked
/// for as long as it has none.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Labels it must have, with these values.
    pub labels: Labels,
    /// What it may be; empty for anything.
    pub states: BTreeSet<SnapshotState>,
    /// What it is of.
    pub source: Option<ResourceRef>,
    /// The provider of what it is of.
    pub provider: Option<String>,
    /// What it is called.
    pub name: Option<Name>,
    /// Its date is this or later.
    pub from: Option<Timestamp>,
    /// Its date is before this.
    pub before: Option<Timestamp>,
    /// What to sort by, and then by id.
    pub sort: SortBy,
    /// Which way.
    pub order: Order,
    /// Only those after this place in the order: to turn a page.
    pub after: Option<Cursor>,
    /// How many of them to leave out.
    pub offset: usize,
    /// How many to return at most; none for all.
    pub limit: Option<usize>,
}

/// A condition on a name. Letters must match in case.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// It has this in it.
    Contains(String),
    /// It is this.
    Is(String),
}

/// What snapshots are sorted by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SortBy {
    /// The date.
    #[default]
    Date,
    /// The name, by its bytes.
    Name,
}

/// Which way snapshots are sorted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The oldest, or the first letter, first.
    Ascending,
    /// The newest, or the last letter, first.
    #[default]
    Descending,
}

/// A place in a sorted list, which stays where it is when others come and go.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// In a list by date.
    Date(Timestamp, SnapshotId),
    /// In a list by name.
    Name(String, SnapshotId),
}

/// What a query found.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Page {
    /// The snapshots, in the order asked for.
    pub rows: Vec<Row>,
    /// How many meet the conditions, on whatever page.
    pub total: usize,
    /// For the next page: set [`Query::after`] to it. None where this is the last.
    pub next: Option<Cursor>,
    /// The revision they are all of.
    pub revision: Revision,
}

/// What of a stored snapshot decides whether it is listed, and where. Reading only this is what
/// makes long lists quick.
#[derive(Deserialize)]
pub(super) struct Head {
    id: SnapshotId,
    source: ResourceRef,
    name: String,
    labels: Labels,
    state: SnapshotState,
    created_at: Timestamp,
    taken_at: Option<Timestamp>,
}

impl Query {
    /// Whether the snapshot meets the conditions.
    pub(super) fn matches(&self, snapshot: &Head) -> bool {
        let date = snapshot.date();
        self.labels
            .iter()
            .all(|(key, value)| snapshot.labels.get(key) == Some(value))
            && (self.states.is_empty() || self.states.contains(&snapshot.state))
            && self.source.as_ref().is_none_or(|s| *s == snapshot.source)
            && self
                .provider
                .as_ref()
                .is_none_or(|provider| provider == snapshot.source.provider())
            && self.name.as_ref().is_none_or(|name| name.matches(snapshot))
            && self.from.is_none_or(|from| from <= date)
            && self.before.is_none_or(|before| date < before)
    }

    /// The place of a snapshot in the order of this query.
    pub(super) fn place(&self, snapshot: Head) -> Cursor {
        match self.sort {
            SortBy::Date => Cursor::Date(snapshot.date(), snapshot.id),
            SortBy::Name => Cursor::Name(snapshot.name, snapshot.id),
        }
    }
}

impl Name {
    fn matches(&self, snapshot: &Head) -> bool {
        match self {
            Self::Contains(part) => snapshot.name.contains(part),
            Self::Is(name) => snapshot.name == *name,
        }
    }
}

impl Head {
    fn date(&self) -> Timestamp {
        self.taken_at.unwrap_or(self.created_at)
    }
}
