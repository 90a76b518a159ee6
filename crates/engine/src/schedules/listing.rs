//! What was taken and what is to come, in one list.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_core::{ResourceRef, Result, Snapshot};
use stillpoint_schedule::Run;
use stillpoint_state::catalogue::{Order, Query, SortBy};

use super::spec::ScheduleSpec;
use crate::engine::Engine;

/// What to list, and how. The default is both, by name from A to Z.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listing {
    /// Snapshots, schedules, or both.
    pub show: Show,
    /// What to sort by. The date of a schedule is its next run.
    pub sort: SortBy,
    /// Which way.
    pub order: Order,
    /// Only what is of this resource: its snapshots, and the schedules that select it now.
    pub source: Option<ResourceRef>,
}

/// What a list shows.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// What is scheduled, and below it what was taken.
    #[default]
    Both,
    /// What is scheduled.
    Scheduled,
    /// What was taken.
    Taken,
}

/// A row of the list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// A schedule with a run to come.
    Scheduled {
        /// The schedule.
        spec: Box<ScheduleSpec>,
        /// Its next run.
        next: Run,
    },
    /// A snapshot that was taken, or is being taken or deleted.
    Taken(Box<Snapshot>),
}

impl Engine {
    /// What was taken and what is to come. Scheduled ones are at the top, whatever the order; a
    /// schedule that has no run to come, or is paused, is not among them.
    ///
    /// # Errors
    ///
    /// Those of the state.
    pub async fn list(&self, listing: &Listing) -> Result<Vec<Listed>> {
        let mut rows = Vec::new();
        if listing.show != Show::Taken {
            rows = self.scheduled(listing).await?;
            rows.sort_by(|a, b| compare(listing, a, b));
        }
        if listing.show != Show::Scheduled {
            let query = Query {
                source: listing.source.clone(),
                sort: listing.sort,
                order: listing.order,
                ..Query::default()
            };
            let page = self.catalogue().list(&query).await?;
            let taken = page.rows.into_iter().map(|row| Box::new(row.snapshot));
            rows.extend(taken.map(Listed::Taken));
        }
        Ok(rows)
    }

    async fn scheduled(&self, listing: &Listing) -> Result<Vec<Listed>> {
        let mut rows = Vec::new();
        for status in self.schedules().await? {
            let Some(next) = status.next else { continue };
            if let Some(source) = &listing.source {
                let found = status.spec.of.find(&self.shared().workshop.providers).await;
                if !found.is_ok_and(|found| found.resources.contains(source)) {
                    continue;
                }
            }
            let spec = Box::new(status.spec);
            rows.push(Listed::Scheduled { spec, next });
        }
        Ok(rows)
    }
}

impl Listed {
    /// The schedule's name, or the snapshot's.
    pub fn name(&self) -> &str {
        match self {
            Self::Scheduled { spec, .. } => &spec.name,
            Self::Taken(snapshot) => &snapshot.name,
        }
    }

    /// When the next run is due, or the point in time that the snapshot holds: as long as it has
    /// none, when it was asked for.
    pub fn date(&self) -> Timestamp {
        match self {
            Self::Scheduled { next, .. } => next.at,
            Self::Taken(snapshot) => snapshot.taken_at.unwrap_or(snapshot.created_at),
        }
    }
}

fn compare(listing: &Listing, a: &Listed, b: &Listed) -> Ordering {
    let order = match listing.sort {
        SortBy::Date => a.date().cmp(&b.date()),
        SortBy::Name => a.name().cmp(b.name()),
    };
    match listing.order {
        Order::Ascending => order,
        Order::Descending => order.reverse(),
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            show: Show::Both,
            sort: SortBy::Name,
            order: Order::Ascending,
            source: None,
        }
    }
}
