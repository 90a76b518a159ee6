//! Hours, days, weeks, months and years, by the wall clock of a zone.

use jiff::{Timestamp, tz::TimeZone};

use crate::civil::{DAY, date_of};

/// The numbers of the periods that an instant lies in. Of two instants in the same period they are
/// equal, and later periods have greater ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Periods {
    /// Counted in real time: an hour that the wall shows twice is two.
    pub(crate) hour: i64,
    pub(crate) day: i32,
    /// From Monday, as in ISO 8601.
    pub(crate) week: i32,
    pub(crate) month: i32,
    pub(crate) year: i32,
}

/// A kind of period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    pub(crate) const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// The period that an instant lies in, as ISO 8601 writes it: `2026-01-05T02+01`, `2026-01-05`,
    /// `2026-W02`, `2026-01`, `2026`.
    pub(crate) fn name(self, at: Timestamp, zone: &TimeZone) -> String {
        let local = at.to_zoned(zone.clone());
        match self {
            Self::Hour => local.strftime("%Y-%m-%dT%H%:z").to_string(),
            Self::Day => local.date().to_string(),
            Self::Week => local.strftime("%G-W%V").to_string(),
            Self::Month => local.strftime("%Y-%m").to_string(),
            Self::Year => local.strftime("%Y").to_string(),
        }
    }
}

impl Periods {
    pub(crate) const NONE: Self = Self {
        hour: 0,
        day: 0,
        week: 0,
        month: 0,
        year: 0,
    };

    pub(crate) fn of(at: Timestamp, zone: &TimeZone) -> Self {
        let offset = i64::from(zone.to_offset(at).seconds());
        let wall = at.as_second() - i64::from(at.subsec_nanosecond() < 0) + offset;
        let day = wall.div_euclid(DAY) as i32;
        let (year, month, _) = date_of(day);
        Self {
            // The wall's hour, as the number of the real hour in which it began.
            hour: wall - wall.rem_euclid(3600) - offset,
            day,
            // 1970-01-01 was a Thursday.
            week: (day + 3).div_euclid(7),
            month: year * 12 + month as i32 - 1,
            year,
        }
    }

    pub(crate) fn number(&self, period: Period) -> i64 {
        match period {
            Period::Hour => self.hour,
            Period::Day => self.day.into(),
            Period::Week => self.week.into(),
            Period::Month => self.month.into(),
            Period::Year => self.year.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods(at: &str) -> Periods {
        Periods::of(
            at.parse().unwrap(),
            &TimeZone::get("Europe/Berlin").unwrap(),
        )
    }

    #[test]
    fn are_those_of_the_wall() {
        let (new_year, before) = (
            periods("2025-12-31T23:00:00Z"),
            periods("2025-12-31T22:59:59.9Z"),
        );
        assert_eq!((new_year.year, before.year), (2026, 2025));
        assert_eq!(new_year.week, before.week);
        assert_eq!(
            (new_year.month, new_year.day),
            (before.month + 1, before.day + 1)
        );
        let monday = periods("2026-01-04T23:00:00Z");
        assert_eq!(monday.week, periods("2026-01-04T22:59:59Z").week + 1);
    }

    #[test]
    fn an_hour_that_comes_twice_is_two() {
        let (first, second) = (
            periods("2025-10-26T00:30:00Z"),
            periods("2025-10-26T01:30:00Z"),
        );
        assert_eq!(first.day, second.day);
        assert_eq!(second.hour - first.hour, 3600);
        assert_eq!(
            periods("2025-10-26T00:00:00Z").hour,
            periods("2025-10-26T00:59:59Z").hour
        );
    }

    #[test]
    fn have_names() {
        let at = "2026-01-05T01:30:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let names = Period::ALL.map(|period| period.name(at, &zone));
        assert_eq!(
            names,
            [
                "2026-01-05T02+01:00",
                "2026-01-05",
                "2026-W02",
                "2026-01",
                "2026"
            ]
        );
    }
}
