//! Forwards in time.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    daylight::{Fold, Gap},
    evaluate::{Evaluator, Local, WallRule},
    run::{Reason, Run},
};

impl<R: WallRule> Evaluator<'_, R> {
    /// The first run after an instant.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Run> {
        let second = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        if *self.zone == TimeZone::UTC {
            // Nothing ever changes there, and servers are full of it.
            let found = self.rule.at_or_after(second + 1)?;
            return found.at(found.wall, Reason::Normal);
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
                    Some(first) if first.wall < fold.wall_before => {
                        return first.at(first.wall - before, Reason::FoldFirst);
                    }
                    _ => {}
                }
                match self.rule.at_or_after(fold.wall_after) {
                    Some(again) if again.wall < fold.wall_before => {
                        return again.at(again.wall - after, Reason::FoldSecond);
                    }
                    _ => {}
                }
            }
        }
        loop {
            let found = self.rule.at_or_after(wall + 1)?;
            let civil = found.date.datetime(found.wall)?;
            match self.local_of(civil) {
                Local::Once { offset } => {
                    let at = Timestamp::from_second(found.wall - offset).ok()?;
                    return Some(Run {
                        wall: civil,
                        at,
                        reason: Reason::Normal,
                    });
                }
                Local::Fold { before, after } => {
                    let (first, again) = (found.wall - before, found.wall - after);
                    if self.fold != Fold::Second && first > second {
                        return found.at(first, Reason::FoldFirst);
                    }
                    if self.fold != Fold::First && again > second {
                        return found.at(again, Reason::FoldSecond);
                    }
                    // In the second pass, and the first one counted.
                    wall = self.transition(first)?.wall_before - 1;
                }
                Local::Gap { after } => {
                    let gap = self.transition(found.wall - after)?;
                    if self.gap == Gap::Shift {
                        return self.shifted(found, &gap);
                    }
                    wall = gap.wall_after - 1;
                }
            }
        }
    }
}
