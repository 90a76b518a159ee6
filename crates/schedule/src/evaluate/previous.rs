//! Backwards in time.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    daylight::{Fold, Gap},
    evaluate::{Evaluator, Local, Match, WallRule},
    run::{Reason, Run},
};

impl<R: WallRule> Evaluator<'_, R> {
    /// The last run before an instant.
    pub(crate) fn prev_before(&self, before: Timestamp) -> Option<Run> {
        // The last whole second before the instant.
        let second = before.as_second() - i64::from(before.subsec_nanosecond() <= 0);
        if *self.zone == TimeZone::UTC {
            let found = self.rule.at_or_before(second)?;
            return found.at(found.wall, Reason::Normal);
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
                    Some(again) if again.wall >= fold.wall_after => {
                        return again.at(again.wall - after, Reason::FoldSecond);
                    }
                    _ => {}
                }
                match self.rule.at_or_before(fold.wall_before - 1) {
                    Some(first) if first.wall >= fold.wall_after => {
                        return first.at(first.wall - before, Reason::FoldFirst);
                    }
                    _ => {}
                }
            }
        }
        loop {
            let found = self.rule.at_or_before(wall)?;
            match self.local(found.wall)? {
                Local::Once { offset } => return self.coalesced(found, found.wall - offset),
                Local::Fold { before, after } => {
                    let (first, again) = (found.wall - before, found.wall - after);
                    if self.fold != Fold::First && again <= second {
                        return found.at(again, Reason::FoldSecond);
                    }
                    if self.fold != Fold::Second && first <= second {
                        return found.at(first, Reason::FoldFirst);
                    }
                    // In the first pass, and only the second one counts.
                    wall = self.transition(first)?.wall_after - 1;
                }
                Local::Gap { after } => {
                    let gap = self.transition(found.wall - after)?;
                    if self.gap == Gap::Shift {
                        return self.shifted(self.rule.at_or_after(gap.wall_before)?, &gap);
                    }
                    wall = gap.wall_before - 1;
                }
            }
        }
    }

    /// A run at its own time, which may stand for others if a gap ends there.
    fn coalesced(&self, found: Match, at: i64) -> Option<Run> {
        let before = found.wall - 1;
        if self.gap == Gap::Shift
            && let Local::Gap { after } = self.local(before)?
        {
            let gap = self.transition(before - after)?;
            let first = self.rule.at_or_after(gap.wall_before);
            if first.is_some_and(|first| first.wall < found.wall) {
                return found.at(at, Reason::GapCoalesced);
            }
        }
        found.at(at, Reason::Normal)
    }
}
