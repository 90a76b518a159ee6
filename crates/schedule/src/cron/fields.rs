//! The fields of an expression as bit sets, and the search for a match on the wall.

use crate::{
    civil::{CYCLE, DAY, LAST_YEAR, Wall, WallDate, day_number},
    cron::days::Days,
    evaluate::{Match, WallRule},
};

pub(crate) const EVERY_60: u64 = (1 << 60) - 1;
pub(crate) const EVERY_HOUR: u32 = (1 << 24) - 1;
pub(crate) const EVERY_MONTH: u16 = 0b1_1111_1111_1110;

/// What an expression says, one bit a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) seconds: u64,
    pub(crate) minutes: u64,
    pub(crate) hours: u32,
    /// Bits 1 to 12.
    pub(crate) months: u16,
    pub(crate) days: Days,
}

impl Fields {
    /// Whether it is about intervals rather than times of the day.
    pub(crate) fn hour_is_unrestricted(&self) -> bool {
        self.hours == EVERY_HOUR
    }

    fn in_month(&self, year: i32, month: u32, first: i32) -> u32 {
        if self.months >> month & 1 == 1 {
            self.days.in_month(year, month, first)
        } else {
            0
        }
    }

    /// The first time of the day at or after a second of the day.
    fn time_at_or_after(&self, second: u32) -> Option<u32> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (first_second, first_minute) = (lowest(self.seconds), lowest(self.minutes));
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = at_or_above(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = at_or_above(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + first_second);
            }
        }
        let hour = at_or_above(self.hours.into(), hour + 1)?;
        Some(hour * 3600 + first_minute * 60 + first_second)
    }

    /// The last time of the day at or before a second of the day.
    fn time_at_or_before(&self, second: u32) -> Option<u32> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (last_second, last_minute) = (highest(self.seconds), highest(self.minutes));
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = below(self.seconds, second + 1)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = below(self.minutes, minute) {
                return Some(hour * 3600 + minute * 60 + last_second);
            }
        }
        let hour = below(self.hours.into(), hour)?;
        Some(hour * 3600 + last_minute * 60 + last_second)
    }
}

impl WallRule for Fields {
    fn at_or_after(&self, wall: Wall) -> Option<Match> {
        let (today, second) = split(wall)?;
        let WallDate {
            mut year,
            mut month,
            day,
        } = WallDate::of(wall)?;
        let mut first = today - day as i32 + 1;
        // What is left of this month; then whole months.
        let mut days = self.in_month(year, month, first);
        if days >> day & 1 == 1
            && let Some(time) = self.time_at_or_after(second)
        {
            return Some(found(year, month, day, first, time));
        }
        days &= !1 << day;
        let end = (year + CYCLE).min(LAST_YEAR);
        while days == 0 {
            match at_or_above(self.months.into(), month + 1) {
                Some(next) => month = next,
                None => (year, month) = (year + 1, lowest(self.months.into())),
            }
            if year > end {
                return None;
            }
            first = day_number(year, month, 1);
            days = self.days.in_month(year, month, first);
        }
        let time =
            lowest(self.hours.into()) * 3600 + lowest(self.minutes) * 60 + lowest(self.seconds);
        Some(found(year, month, lowest(days.into()), first, time))
    }

    fn at_or_before(&self, wall: Wall) -> Option<Match> {
        let (today, second) = split(wall)?;
        let WallDate {
            mut year,
            mut month,
            day,
        } = WallDate::of(wall)?;
        let mut first = today - day as i32 + 1;
        let mut days = self.in_month(year, month, first);
        if days >> day & 1 == 1
            && let Some(time) = self.time_at_or_before(second)
        {
            return Some(found(year, month, day, first, time));
        }
        days &= (1 << day) - 1;
        let end = (year - CYCLE).max(-LAST_YEAR);
        while days == 0 {
            match below(self.months.into(), month) {
                Some(previous) => month = previous,
                None => (year, month) = (year - 1, highest(self.months.into())),
            }
            if year < end {
                return None;
            }
            first = day_number(year, month, 1);
            days = self.days.in_month(year, month, first);
        }
        let time =
            highest(self.hours.into()) * 3600 + highest(self.minutes) * 60 + highest(self.seconds);
        Some(found(year, month, highest(days.into()), first, time))
    }
}

/// The day's number and the second of the day.
fn split(wall: Wall) -> Option<(i32, u32)> {
    Some((
        i32::try_from(wall.div_euclid(DAY)).ok()?,
        wall.rem_euclid(DAY) as u32,
    ))
}

fn found(year: i32, month: u32, day: u32, first: i32, time: u32) -> Match {
    let number = first + day as i32 - 1;
    let wall = i64::from(number) * DAY + i64::from(time);
    Match {
        wall,
        date: WallDate { year, month, day },
    }
}

fn lowest(bits: u64) -> u32 {
    bits.trailing_zeros()
}

fn highest(bits: u64) -> u32 {
    63 - bits.leading_zeros()
}

/// The lowest bit that is at least `from`, which is at most 63.
fn at_or_above(bits: u64, from: u32) -> Option<u32> {
    let rest = bits & (u64::MAX << from);
    (rest != 0).then(|| lowest(rest))
}

/// The highest bit under `end`, which is at most 63.
fn below(bits: u64, end: u32) -> Option<u32> {
    let rest = bits & !(u64::MAX << end);
    (rest != 0).then(|| highest(rest))
}
