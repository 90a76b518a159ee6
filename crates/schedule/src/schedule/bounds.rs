//! Within which a schedule runs.

use std::num::NonZeroU32;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
};
use serde::{Deserialize, Serialize};

use crate::{
    policy::{Jitter, Missed},
    schedule::ScheduleError,
    zone::Zone,
};

/// What most schedules do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) blackouts: Vec<Blackout>,
    pub(super) pause: Option<Pause>,
    pub(super) missed: Missed,
    pub(super) grace: Option<SignedDuration>,
    pub(super) jitter: Jitter,
    pub(super) limit: Option<NonZeroU32>,
}

/// Days on which nothing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// The first of them.
    pub first: Date,
    /// The last of them.
    pub last: Date,
}

/// How long a schedule is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pause {
    /// Until someone resumes it.
    Indefinitely,
    /// Until that instant, at which it may run again.
    Until(Timestamp),
}

impl Bounds {
    /// The first instant at which it may run; `None` if it may not at all.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let from = self.from.unwrap_or(Timestamp::MIN);
        match self.pause {
            Some(Pause::Indefinitely) => None,
            Some(Pause::Until(until)) => Some(from.max(until)),
            None => Some(from),
        }
    }

    /// The instant after which to look for the first run after another.
    pub(super) fn not_before(&self, after: Timestamp) -> Option<Timestamp> {
        let just_before = self.first()?.checked_sub(SignedDuration::from_nanos(1));
        Some(after.max(just_before.unwrap_or(Timestamp::MIN)))
    }

    pub(super) fn over(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at >= until)
    }

    pub(super) fn blackout_on(&self, date: Date) -> Option<Blackout> {
        self.blackouts
            .iter()
            .copied()
            .find(|blackout| (blackout.first..=blackout.last).contains(&date))
    }
}

impl Blackout {
    pub(super) fn new(first: Date, last: Date) -> Result<Self, ScheduleError> {
        if first > last {
            return Err(ScheduleError::Blackout { first, last });
        }
        Ok(Self { first, last })
    }

    /// An instant late on its last day: before any run of the day after, if clocks change or not.
    pub(super) fn end(self, zone: &Zone) -> Timestamp {
        let end = self.last.to_datetime(Time::constant(23, 59, 59, 0));
        zone.time_zone()
            .to_ambiguous_timestamp(end)
            .earlier()
            .unwrap_or(Timestamp::MAX)
    }

    /// An instant early on its first day.
    pub(super) fn start(self, zone: &Zone) -> Timestamp {
        let start = self.first.to_datetime(Time::midnight());
        zone.time_zone()
            .to_ambiguous_timestamp(start)
            .later()
            .unwrap_or(Timestamp::MIN)
    }
}
