//! Which days of a month match: one bit a day, worked out a month at a time.

use crate::civil::{day_number, days_in, week, weekday};

/// Days of the month and of the week. In every mask of days bit 1 is the first.
///
/// Flat, and flags instead of options: a service may hold a million of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// Days counted from the start of the month, bits 1 to 31.
    pub(crate) from_start: u32,
    /// Days counted from its end, bit 1 is the last day.
    pub(crate) from_end: u32,
    /// Weekdays of every week, bit 0 is Sunday.
    pub(crate) every_week: u8,
    /// Weekdays of some weeks only; boxed, for hardly any expression has them.
    pub(crate) some_weeks: Option<Box<SomeWeeks>>,
    /// The day of the month is `*`, and the masks for it are not looked at.
    pub(crate) any_of_month: bool,
    /// The day of the week is `*`, likewise.
    pub(crate) any_of_week: bool,
    /// Whether a day must match both, rather than either. Only where both are restricted.
    pub(crate) both: bool,
    /// Whether a day a month does not have means its last day.
    pub(crate) clamp: bool,
}

/// Weekdays of some weeks: the n-th of a month, every n-th week.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SomeWeeks {
    /// The first to the fifth of a month: weekdays, bit 0 is Sunday.
    pub(crate) nth: [u8; 5],
    /// The last, the last but one, and so on, likewise.
    pub(crate) nth_from_end: [u8; 5],
    /// Every n-th week, ordered, each once.
    pub(crate) modulo: Vec<Modulo>,
}

/// A weekday in the weeks whose number leaves a remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Modulo {
    pub(crate) weekday: u8,
    pub(crate) divisor: u16,
    pub(crate) remainder: u16,
}

const ALL: u32 = 0xffff_fffe;

impl Days {
    /// Every day.
    pub(crate) const ANY: Self = Self {
        from_start: 0,
        from_end: 0,
        every_week: 0,
        some_weeks: None,
        any_of_month: true,
        any_of_week: true,
        both: false,
        clamp: false,
    };

    /// The matching days of a month, bits 1 to 31. `first` is the number of its first day.
    pub(crate) fn in_month(&self, year: i32, month: u32, first: i32) -> u32 {
        let length = days_in(year, month);
        let days = match (self.any_of_month, self.any_of_week) {
            (true, true) => ALL,
            (false, true) => self.of_month(length),
            (true, false) => self.of_week(first, length),
            (false, false) if self.both => self.of_month(length) & self.of_week(first, length),
            (false, false) => self.of_month(length) | self.of_week(first, length),
        };
        days & through(length)
    }

    /// Whether any of these months matches in any year. A week modulo counts as matching, for the
    /// remainders of its divisor all come up in time.
    pub(crate) fn ever(&self, months: u16) -> bool {
        if self.any_of_month || !self.any_of_week && !self.both {
            return true;
        }
        let mut days = self.clone();
        if let Some(some) = &mut days.some_weeks {
            for modulo in some.modulo.drain(..) {
                days.every_week |= 1 << modulo.weekday;
            }
        }
        // These years begin on every weekday, as leap years and as common ones.
        (2000..2028).any(|year| {
            (1..=12).any(|month| {
                let first = day_number(year, month, 1);
                months >> month & 1 == 1 && days.in_month(year, month, first) != 0
            })
        })
    }

    fn of_month(&self, length: u32) -> u32 {
        // Reversed and up by one, bit 1 (the last day) is bit 31; then down to the month's length.
        let from_end = (self.from_end.reverse_bits() << 1) >> (31 - length) & ALL;
        let beyond = self.clamp && self.from_start & !through(length) != 0;
        self.from_start | from_end | if beyond { 1 << length } else { 0 }
    }

    fn of_week(&self, first: i32, length: u32) -> u32 {
        let first_weekday = weekday(first);
        // Turned so that bit 0 is the weekday of the first, repeated five times, moved to bit 1.
        let such = |weekdays: u8| {
            let turned = ((u64::from(weekdays) * 0x81) >> first_weekday) & 0x7f;
            ((turned * 0x1020_4081) << 1) as u32
        };
        let mut days = such(self.every_week);
        let Some(some) = &self.some_weeks else {
            return days;
        };
        // The n-th of any weekday is in the n-th seven days.
        for (n, (from_start, from_end)) in some.nth.iter().zip(some.nth_from_end).enumerate() {
            days |= such(*from_start) & 0xfe << (7 * n);
            days |= such(from_end) & (0xfe << (length - 7)) >> (7 * n);
        }
        for modulo in &some.modulo {
            let first_such = 1 + (u32::from(modulo.weekday) + 7 - first_weekday) % 7;
            for day in (first_such..=length).step_by(7) {
                let week = week(first + day as i32 - 1);
                if week.rem_euclid(modulo.divisor.into()) == i32::from(modulo.remainder) {
                    days |= 1 << day;
                }
            }
        }
        days
    }
}

/// Bits 1 to `last`.
fn through(last: u32) -> u32 {
    ALL >> (31 - last) & ALL
}
