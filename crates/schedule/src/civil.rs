//! Wall-clock seconds and the proleptic Gregorian calendar, in plain integers.
//!
//! A wall time is counted in seconds since 1970-01-01T00:00:00 as a clock on the wall would: no
//! offset, no leap seconds. jiff has the same calendar, but not a step from and to a day number
//! that is cheap enough to sit in the inner loop of a search.

use jiff::civil::DateTime;

pub(crate) const DAY: i64 = 86_400;
pub(crate) const LAST_YEAR: i32 = 9999;
/// The calendar repeats itself, weekdays included, after as many years.
pub(crate) const CYCLE: i32 = 400;

/// Seconds on the wall since 1970-01-01T00:00:00.
pub(crate) type Wall = i64;

/// The day number (1970-01-01 is 0) of a date. Months beyond 1..=12 are not accepted.
pub(crate) fn day_number(year: i32, month: u32, day: u32) -> i32 {
    // Years that begin in March put the leap day at the end of its year, and make the lengths
    // of the months a straight line: (153 m + 2) / 5.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day number.
pub(crate) fn date_of(day_number: i32) -> (i32, u32, u32) {
    let shifted = day_number + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    (year, month as u32, day as u32)
}

pub(crate) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days a month has.
pub(crate) fn days_in(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The weekday of a day number, Sunday is 0.
pub(crate) fn weekday(day_number: i32) -> u32 {
    (day_number + 4).rem_euclid(7) as u32
}

/// The number of the week (from Monday) a day lies in; the week of 2018-12-31 is 0.
pub(crate) fn week(day_number: i32) -> i32 {
    const MONDAY_2018_12_31: i32 = 17_896;
    (day_number - MONDAY_2018_12_31).div_euclid(7)
}

pub(crate) fn wall_of(at: DateTime) -> Wall {
    let day = day_number(at.year().into(), at.month() as u32, at.day() as u32);
    let second = i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second());
    i64::from(day) * DAY + second
}

/// The date and time of a wall; `None` beyond the years -9999 to 9999.
pub(crate) fn datetime_of(wall: Wall) -> Option<DateTime> {
    WallDate::of(wall)?.datetime(wall)
}

/// The date of a time on the wall, taken apart: a search has it at hand, and it is not for free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WallDate {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
}

impl WallDate {
    pub(crate) fn of(wall: Wall) -> Option<Self> {
        let (year, month, day) = date_of(i32::try_from(wall.div_euclid(DAY)).ok()?);
        Some(Self { year, month, day })
    }

    /// With the time of the day of that wall.
    pub(crate) fn datetime(self, wall: Wall) -> Option<DateTime> {
        let second = wall.rem_euclid(DAY) as u32;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let year = i16::try_from(self.year).ok()?;
        DateTime::new(
            year,
            self.month as i8,
            self.day as i8,
            hour as i8,
            minute as i8,
            (second % 60) as i8,
            0,
        )
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;

    use super::*;

    #[test]
    fn agrees_with_jiff_on_every_day_of_two_gregorian_cycles() {
        let mut date = Date::constant(1799, 12, 31);
        let mut number = day_number(1799, 12, 31);
        while date.year() < 2601 {
            let (year, month, day) = (date.year().into(), date.month() as u32, date.day() as u32);
            assert_eq!(day_number(year, month, day), number);
            assert_eq!(date_of(number), (year, month, day));
            assert_eq!(days_in(year, month), date.days_in_month() as u32);
            assert_eq!(
                weekday(number),
                date.weekday().to_sunday_zero_offset() as u32
            );
            assert_eq!(
                datetime_of(i64::from(number) * DAY),
                Some(date.to_datetime(jiff::civil::Time::midnight()))
            );
            date = date.tomorrow().unwrap();
            number += 1;
        }
    }

    #[test]
    fn the_ends_of_time_have_no_date() {
        let last = wall_of(DateTime::constant(9999, 12, 31, 23, 59, 59, 0));
        assert_eq!(
            datetime_of(last),
            Some(DateTime::constant(9999, 12, 31, 23, 59, 59, 0))
        );
        assert_eq!(datetime_of(last + 1), None);
        assert_eq!(datetime_of(i64::MAX), None);
    }

    #[test]
    fn week_zero_begins_on_the_last_day_of_2018() {
        let monday = day_number(2018, 12, 31);
        assert_eq!(
            (
                week(monday - 1),
                week(monday),
                week(monday + 6),
                week(monday + 7)
            ),
            (-1, 0, 0, 1)
        );
    }
}
