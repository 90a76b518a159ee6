//! From times on the wall to instants, and back.
//!
//! A [`WallRule`] knows the calendar and no zone. The [`Evaluator`] finds the instants: it asks the
//! rule for the next time on the wall, and the zone for what that time is: one instant, two, or none.
//! In the common case that is two look-ups in the zone; transitions are looked for only when a
//! time falls in a gap or a fold.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::{
    civil::{CYCLE, LAST_YEAR, Wall, datetime_of, wall_of},
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
    fn at_or_after(&self, wall: Wall) -> Option<Wall>;
    /// The last match at or before a wall time.
    fn at_or_before(&self, wall: Wall) -> Option<Wall>;

    fn matches(&self, wall: Wall) -> bool {
        self.at_or_after(wall) == Some(wall)
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
    /// The first run after an instant.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Run> {
        let second = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        if *self.zone == TimeZone::UTC {
            // Nothing ever changes there, and servers are full of it.
            let wall = self.rule.at_or_after(second + 1)?;
            return run(wall, wall, Reason::Normal);
        }
        let offset = self.offset(after);
        let mut wall = second + offset;
        if self.fold != Fold::First
            && let Local::Fold { before, after } = self.local(wall)?
            && before == offset
        {
            // In the first pass: times that the wall showed already are still to come again.
            let fold = self.transition(wall - before)?;
            if self.fold == Fold::Second {
                wall = fold.wall_after - 1;
            } else {
                match self.rule.at_or_after(wall + 1) {
                    Some(first) if first < fold.wall_before => {
                        return run(first, first - before, Reason::FoldFirst);
                    }
                    _ => {}
                }
                match self.rule.at_or_after(fold.wall_after) {
                    Some(second) if second < fold.wall_before => {
                        return run(second, second - after, Reason::FoldSecond);
                    }
                    _ => {}
                }
            }
        }
        loop {
            let candidate = self.rule.at_or_after(wall + 1)?;
            let civil = datetime_of(candidate)?;
            match self.local_of(civil) {
                Local::Once { offset } => {
                    let at = Timestamp::from_second(candidate - offset).ok()?;
                    return Some(Run {
                        wall: civil,
                        at,
                        reason: Reason::Normal,
                    });
                }
                Local::Fold { before, after } => {
                    let (first, again) = (candidate - before, candidate - after);
                    if self.fold != Fold::Second && first > second {
                        return run(candidate, first, Reason::FoldFirst);
                    }
                    if self.fold != Fold::First && again > second {
                        return run(candidate, again, Reason::FoldSecond);
                    }
                    // In the second pass, and the first one counted.
                    wall = self.transition(first)?.wall_before - 1;
                }
                Local::Gap { after } => {
                    let gap = self.transition(candidate - after)?;
                    if self.gap == Gap::Shift {
                        return self.shifted(candidate, &gap);
                    }
                    wall = gap.wall_after - 1;
                }
            }
        }
    }

    /// The last run before an instant.
    pub(crate) fn prev_before(&self, before: Timestamp) -> Option<Run> {
        // The last whole second before the instant.
        let second = before.as_second() - i64::from(before.subsec_nanosecond() <= 0);
        if *self.zone == TimeZone::UTC {
            let wall = self.rule.at_or_before(second)?;
            return run(wall, wall, Reason::Normal);
        }
        let last = Timestamp::from_second(second).ok()?;
        let offset = self.offset(last);
        let mut wall = second + offset;
        if self.fold != Fold::Second
            && let Local::Fold { before, after } = self.local(wall)?
            && after == offset
        {
            // In the second pass: the first one is over, to the end.
            let fold = self.transition(wall - before)?;
            if self.fold == Fold::First {
                wall = fold.wall_before - 1;
            } else {
                match self.rule.at_or_before(wall) {
                    Some(again) if again >= fold.wall_after => {
                        return run(again, again - after, Reason::FoldSecond);
                    }
                    _ => {}
                }
                match self.rule.at_or_before(fold.wall_before - 1) {
                    Some(first) if first >= fold.wall_after => {
                        return run(first, first - before, Reason::FoldFirst);
                    }
                    _ => {}
                }
            }
        }
        loop {
            let candidate = self.rule.at_or_before(wall)?;
            match self.local(candidate)? {
                Local::Once { offset } => return self.coalesced(candidate, candidate - offset),
                Local::Fold { before, after } => {
                    let (first, again) = (candidate - before, candidate - after);
                    if self.fold != Fold::First && again <= second {
                        return run(candidate, again, Reason::FoldSecond);
                    }
                    if self.fold != Fold::Second && first <= second {
                        return run(candidate, first, Reason::FoldFirst);
                    }
                    // In the first pass, and only the second one counts.
                    wall = self.transition(first)?.wall_after - 1;
                }
                Local::Gap { after } => {
                    let gap = self.transition(candidate - after)?;
                    if self.gap == Gap::Shift && gap.at <= second {
                        return self.shifted(self.rule.at_or_after(gap.wall_before)?, &gap);
                    }
                    wall = gap.wall_before - 1;
                }
            }
        }
    }

    /// The run at the end of a gap, for a first match inside it.
    fn shifted(&self, first: Wall, gap: &Transition) -> Option<Run> {
        if self.rule.matches(gap.wall_after) {
            run(gap.wall_after, gap.at, Reason::GapCoalesced)
        } else {
            run(first, gap.at, Reason::GapShifted)
        }
    }

    /// A run at its own time, which may stand for others if a gap ends there.
    fn coalesced(&self, wall: Wall, at: i64) -> Option<Run> {
        if self.gap == Gap::Shift
            && let Local::Gap { after } = self.local(wall - 1)?
        {
            let gap = self.transition(wall - 1 - after)?;
            if self
                .rule
                .at_or_after(gap.wall_before)
                .is_some_and(|first| first < wall)
            {
                return run(wall, at, Reason::GapCoalesced);
            }
        }
        run(wall, at, Reason::Normal)
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

fn run(wall: Wall, at: i64, reason: Reason) -> Option<Run> {
    let at = Timestamp::from_second(at).ok()?;
    Some(Run {
        wall: datetime_of(wall)?,
        at,
        reason,
    })
}

/// One fixed time on the wall.
impl WallRule for DateTime {
    fn at_or_after(&self, wall: Wall) -> Option<Wall> {
        Some(wall_of(*self)).filter(|own| *own >= wall)
    }

    fn at_or_before(&self, wall: Wall) -> Option<Wall> {
        Some(wall_of(*self)).filter(|own| *own <= wall)
    }
}
