//! Every minute of some years in a zone: what the clock on the wall shows.

use std::collections::HashMap;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, date},
    tz::TimeZone,
};
use stillpoint_schedule::{Fold, Gap, Reason, Run};

use crate::expression::Expression;

pub(crate) struct Minutes {
    /// Minutes since 1970, in UTC.
    start: i64,
    /// Minutes since 1970 on the wall, for every minute from the start.
    walls: Vec<i64>,
    /// Where the wall does not show the minute that follows the last one.
    jumps: Vec<usize>,
}

/// Which time it is that the wall shows a minute.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    First,
    Second,
}

impl Minutes {
    pub(crate) fn of(zone: &TimeZone, from: i16, until: i16) -> Self {
        let minute = |year| {
            TimeZone::UTC
                .to_timestamp(date(year, 1, 1).at(0, 0, 0, 0))
                .unwrap()
                .as_second()
                / 60
        };
        let (start, end) = (minute(from), minute(until));
        let offset = |minute: i64| {
            let at = Timestamp::from_second(minute * 60).unwrap();
            i64::from(zone.to_offset(at).seconds()) / 60
        };
        let mut walls = Vec::with_capacity((end - start) as usize);
        for hour in (start..end).step_by(60) {
            let (first, next) = (offset(hour), offset(hour + 60));
            // Only in an hour in which the offset changes is every minute looked up.
            walls.extend(
                (hour..hour + 60)
                    .map(|minute| minute + if first == next { first } else { offset(minute) }),
            );
        }
        let follows = |pair: &[i64]| pair[1] == pair[0] + 1;
        let jumps = walls
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| !follows(pair));
        let jumps = jumps.map(|(index, _)| index + 1).collect();
        Self {
            start,
            walls,
            jumps,
        }
    }

    pub(crate) fn span(&self) -> (Timestamp, Timestamp) {
        (self.at(0), self.at(self.walls.len() - 1))
    }

    /// The instants at which the clock changes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Timestamp> {
        self.jumps.iter().map(|index| self.at(*index))
    }

    fn at(&self, index: usize) -> Timestamp {
        Timestamp::from_second((self.start + index as i64) * 60).unwrap()
    }

    /// The minutes at which the wall shows a match.
    pub(crate) fn matches(&self, expression: &Expression) -> Vec<usize> {
        let mut matches = Vec::new();
        let mut today = i64::MIN;
        let mut fires_today = false;
        for (index, wall) in self.walls.iter().enumerate() {
            let day = wall.div_euclid(1440);
            if today != day {
                (today, fires_today) = (day, expression.on(date_of(day)));
            }
            if fires_today && expression.at(wall.rem_euclid(1440)) {
                matches.push(index);
            }
        }
        matches
    }

    pub(crate) fn runs(
        &self,
        expression: &Expression,
        matches: &[usize],
        gap: Gap,
        fold: Fold,
    ) -> Vec<Run> {
        let mut passes = HashMap::new();
        let mut shifted = HashMap::new();
        for &jump in &self.jumps {
            let (before, after) = (self.walls[jump - 1], self.walls[jump]);
            if after > before {
                let left_out = (before + 1..after).find(|wall| {
                    expression.on(date_of(wall.div_euclid(1440)))
                        && expression.at(wall.rem_euclid(1440))
                });
                if let Some(wall) = left_out {
                    shifted.insert(jump, wall);
                }
                continue;
            }
            let earlier = (0..jump)
                .rev()
                .take_while(|index| self.walls[*index] >= after);
            passes.extend(earlier.map(|index| (index, Pass::First)));
            let later = (jump..self.walls.len()).take_while(|index| self.walls[*index] <= before);
            passes.extend(later.map(|index| (index, Pass::Second)));
        }
        let mut runs: Vec<Run> = matches
            .iter()
            .filter_map(|index| {
                let reason = match passes.get(index) {
                    Some(Pass::First) if fold == Fold::Second => return None,
                    Some(Pass::Second) if fold == Fold::First => return None,
                    Some(Pass::First) => Reason::FoldFirst,
                    Some(Pass::Second) => Reason::FoldSecond,
                    None if gap == Gap::Shift && shifted.remove(index).is_some() => {
                        Reason::GapCoalesced
                    }
                    None => Reason::Normal,
                };
                Some(Run {
                    wall: datetime_of(self.walls[*index]),
                    at: self.at(*index),
                    reason,
                })
            })
            .collect();
        if gap == Gap::Shift {
            runs.extend(shifted.into_iter().map(|(index, wall)| Run {
                wall: datetime_of(wall),
                at: self.at(index),
                reason: Reason::GapShifted,
            }));
            runs.sort_by_key(|run| run.at);
        }
        runs
    }
}

fn date_of(day: i64) -> Date {
    datetime_of(day * 1440).date()
}

fn datetime_of(minute: i64) -> DateTime {
    TimeZone::UTC.to_datetime(Timestamp::from_second(minute * 60).unwrap())
}
