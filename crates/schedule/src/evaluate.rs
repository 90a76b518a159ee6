//! From times on the wall to instants, and back.
//!
//! A [`WallRule`] knows the calendar and no zone. The [`Evaluator`] finds the instants: it asks the
//! rule for the next time on the wall, and the zone for what that time is: one instant, two, or none.
//! In the common case that is two look-ups in the zone; transitions are looked for only when a
//! time falls in a gap or a fold.

mod next;
mod previous;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::{
    civil::{CYCLE, LAST_YEAR, Wall, WallDate, datetime_of, wall_of},
    daylight::{Fold, Gap},
    run::{Reason, Run},
};

/// No run was found, and none will be by asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The search left the years -9999 to 9999.
    #[error("no run before the end of time (the years -9999 to 9999); ask from an earlier instant")]
    EndOfTime,
    /// Nothing matches in 400 years, after which the calendar repeats itself.
    #[error("never fires: no run within 400 years; relax the week modulo, the day or the month")]
    NeverFires,
}

impl SearchError {
    /// Why nothing was found from an instant on, forwards (1) or backwards (-1).
    pub(crate) fn of(from: Timestamp, direction: i32) -> Self {
        let year = TimeZone::UTC.to_datetime(from).year();
        if (i32::from(year) + CYCLE * direction).abs() < LAST_YEAR {
            Self::NeverFires
        } else {
            Self::EndOfTime
        }
    }
}

/// Times on the wall: the part of a schedule that needs no zone.
pub(crate) trait WallRule {
    /// The first match at or after a wall time.
    fn at_or_after(&self, wall: Wall) -> Option<Match>;
    /// The last match at or before a wall time.
    fn at_or_before(&self, wall: Wall) -> Option<Match>;
}

/// A time on the wall that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) wall: Wall,
    pub(crate) date: WallDate,
}

impl Match {
    /// The run at an instant, in seconds.
    fn at(self, at: i64, reason: Reason) -> Option<Run> {
        let at = Timestamp::from_second(at).ok()?;
        Some(Run {
            wall: self.date.datetime(self.wall)?,
            at,
            reason,
        })
    }
}

/// A rule in a zone, under a policy.
#[derive(Debug)]
pub(crate) struct Evaluator<'a, R> {
    pub(crate) rule: &'a R,
    pub(crate) zone: &'a TimeZone,
    pub(crate) gap: Gap,
    pub(crate) fold: Fold,
}

/// What a time on the wall is in a zone. Offsets are in seconds east of UTC.
enum Local {
    /// It comes twice.
    Fold { before: i64, after: i64 },
    /// It does not exist.
    Gap { after: i64 },
    /// It comes once.
    Once { offset: i64 },
}

/// A change of the offset: its instant in seconds, and the wall times on both sides of it.
struct Transition {
    at: i64,
    wall_before: Wall,
    wall_after: Wall,
}

impl<R: WallRule> Evaluator<'_, R> {
    /// The run at the end of a gap, for a first match inside it.
    fn shifted(&self, first: Match, gap: &Transition) -> Option<Run> {
        match self.rule.at_or_after(gap.wall_after) {
            Some(own) if own.wall == gap.wall_after => own.at(gap.at, Reason::GapCoalesced),
            _ => first.at(gap.at, Reason::GapShifted),
        }
    }

    fn offset(&self, at: Timestamp) -> i64 {
        self.zone.to_offset(at).seconds().into()
    }

    fn local(&self, wall: Wall) -> Option<Local> {
        datetime_of(wall).map(|civil| self.local_of(civil))
    }

    fn local_of(&self, civil: DateTime) -> Local {
        let seconds = |offset: Offset| i64::from(offset.seconds());
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Local::Once {
                offset: seconds(offset),
            },
            AmbiguousOffset::Gap { after, .. } => Local::Gap {
                after: seconds(after),
            },
            AmbiguousOffset::Fold { before, after } => Local::Fold {
                before: seconds(before),
                after: seconds(after),
            },
        }
    }

    /// The first change of the offset after an instant. Names and daylight flags change more often.
    fn transition(&self, after: i64) -> Option<Transition> {
        let after = Timestamp::from_second(after).ok()?;
        let before = self.offset(after);
        let found = self
            .zone
            .following(after)
            .find(|transition| i64::from(transition.offset().seconds()) != before)?;
        let at = found.timestamp().as_second();
        let wall_after = at + i64::from(found.offset().seconds());
        Some(Transition {
            at,
            wall_before: at + before,
            wall_after,
        })
    }
}

/// One fixed time on the wall.
impl WallRule for DateTime {
    fn at_or_after(&self, wall: Wall) -> Option<Match> {
        own(*self).filter(|own| own.wall >= wall)
    }

    fn at_or_before(&self, wall: Wall) -> Option<Match> {
        own(*self).filter(|own| own.wall <= wall)
    }
}

fn own(at: DateTime) -> Option<Match> {
    let wall = wall_of(at);
    Some(Match {
        wall,
        date: WallDate::of(wall)?,
    })
}
