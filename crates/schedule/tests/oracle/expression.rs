//! Random expressions, with what they mean: as lists of values, not by parsing.

use jiff::civil::{Date, Weekday, date};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    /// Whether it fires at each minute of a day.
    of_day: Vec<bool>,
    every_hour: bool,
    months: Vec<i64>,
    /// Negative days count from the end. `None` is any.
    days: Option<Vec<i64>>,
    weekdays: Option<Vec<OfWeek>>,
    both: bool,
}

#[derive(Clone, Debug)]
enum OfWeek {
    Every(i64),
    Nth(i64, i64),
    Modulo(i64, i64, i64),
}

type Values = (String, Vec<i64>);

impl Expression {
    pub(crate) fn every_hour(&self) -> bool {
        self.every_hour
    }

    pub(crate) fn at(&self, minute: i64) -> bool {
        self.of_day[minute as usize]
    }

    pub(crate) fn on(&self, day: Date) -> bool {
        if !self.months.contains(&day.month().into()) {
            return false;
        }
        let last = i64::from(day.days_in_month());
        let of_month = self.days.as_ref().map(|days| {
            let number = i64::from(day.day());
            days.iter()
                .any(|day| *day == number || *day == number - last - 1)
        });
        let of_week = self
            .weekdays
            .as_ref()
            .map(|days| days.iter().any(|entry| entry.on(day)));
        match (of_month, of_week) {
            (Some(of_month), Some(of_week)) if self.both => of_month && of_week,
            (Some(of_month), Some(of_week)) => of_month || of_week,
            (one, other) => one.or(other).unwrap_or(true),
        }
    }
}

impl OfWeek {
    fn on(&self, day: Date) -> bool {
        let is = |weekday: i64| {
            day.weekday() == Weekday::from_sunday_zero_offset(weekday as i8).unwrap()
        };
        match *self {
            Self::Every(weekday) => is(weekday),
            Self::Nth(weekday, n) => {
                let such = Weekday::from_sunday_zero_offset(weekday as i8).unwrap();
                is(weekday)
                    && day
                        .nth_weekday_of_month(n as i8, such)
                        .is_ok_and(|nth| nth == day)
            }
            Self::Modulo(weekday, divisor, remainder) => {
                let weeks = (day - date(2018, 12, 31)).get_days().div_euclid(7);
                is(weekday) && i64::from(weeks).rem_euclid(divisor) == remainder % divisor
            }
        }
    }
}

/// An expression of five fields.
pub(crate) fn expression() -> impl Strategy<Value = Expression> {
    let minutes = prop_oneof![3 => single(0, 59), 3 => entries(0, 59), 1 => every(0, 59)];
    let hours =
        prop_oneof![3 => single(0, 23), 3 => entries(0, 23), 1 => early(), 2 => every(0, 23)];
    let months = prop_oneof![1 => entries(1, 12), 4 => every(1, 12)];
    let days = prop_oneof![1 => of_month().prop_map(Some), 2 => Just(None)];
    let weekdays = prop_oneof![1 => of_week().prop_map(Some), 2 => Just(None)];
    (minutes, hours, days, months, weekdays, any::<bool>()).prop_filter_map(
        "never fires",
        |(minutes, hours, days, months, weekdays, both)| {
            let both = both && days.is_some() && weekdays.is_some();
            let text = format!(
                "{} {} {} {} {}{}",
                minutes.0,
                hours.0,
                days.as_ref().map_or("*", |days| &days.0),
                months.0,
                weekdays.as_ref().map_or("*", |days| &days.0),
                if both { "&" } else { "" },
            );
            let expression = Expression {
                text,
                of_day: (0..1440)
                    .map(|minute| {
                        hours.1.contains(&(minute / 60)) && minutes.1.contains(&(minute % 60))
                    })
                    .collect(),
                every_hour: (0..24).all(|hour| hours.1.contains(&hour)),
                months: months.1,
                days: days.map(|days| days.1),
                weekdays: weekdays.map(|days| days.1),
                both,
            };
            let mut first_days = (0..4 * 366).map(|day| {
                date(2024, 1, 1)
                    .checked_add(jiff::Span::new().days(day))
                    .unwrap()
            });
            first_days
                .any(|day| expression.on(day))
                .then_some(expression)
        },
    )
}

fn every(min: i64, max: i64) -> impl Strategy<Value = Values> {
    Just(("*".to_owned(), (min..=max).collect()))
}

/// Hours in which clocks change.
fn early() -> impl Strategy<Value = Values> {
    prop_oneof![Just("0-3"), Just("1,2"), Just("2"), Just("0"), Just("23-1")].prop_map(|text| {
        let hours = match text {
            "0-3" => vec![0, 1, 2, 3],
            "1,2" => vec![1, 2],
            "2" => vec![2],
            "0" => vec![0],
            _ => vec![23, 0, 1],
        };
        (text.to_owned(), hours)
    })
}

fn single(min: i64, max: i64) -> impl Strategy<Value = Values> {
    (min..=max).prop_map(|value| (value.to_string(), vec![value]))
}

/// Values, ranges that may wrap, and steps, in a list.
fn entries(min: i64, max: i64) -> impl Strategy<Value = Values> {
    let range = (min..=max, min..=max, 1..=9_i64).prop_map(move |(from, to, step)| {
        let mut values = vec![from];
        while values[values.len() - 1] != to {
            let last = values[values.len() - 1];
            values.push(if last == max { min } else { last + 1 });
        }
        let values = values.into_iter().step_by(step as usize).collect();
        (
            if step == 1 {
                format!("{from}-{to}")
            } else {
                format!("{from}-{to}/{step}")
            },
            values,
        )
    });
    let step = (2..=20_i64).prop_map(move |step| {
        (
            format!("*/{step}"),
            (min..=max).step_by(step as usize).collect::<Vec<_>>(),
        )
    });
    let open = (min..=max, 1..=20_i64).prop_map(move |(from, step)| {
        (
            format!("{from}/{step}"),
            (from..=max).step_by(step as usize).collect::<Vec<_>>(),
        )
    });
    list(prop_oneof![4 => single(min, max), 2 => range, 1 => step, 1 => open])
}

fn list(entry: impl Strategy<Value = Values>) -> impl Strategy<Value = Values> {
    proptest::collection::vec(entry, 1..4).prop_map(|entries| {
        let (texts, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        (texts.join(","), values.concat())
    })
}

fn of_month() -> impl Strategy<Value = Values> {
    let last = prop_oneof![Just("L"), Just("last"), Just("-1")]
        .prop_map(|text| (text.to_owned(), vec![-1]));
    let from_end = (2..=31_i64).prop_map(|day| (format!("-{day}"), vec![-day]));
    let range = (2..=31_i64, 1..=4_i64).prop_map(|(from, days)| {
        (
            format!("-{from}--{}", (from - days).max(1)),
            (-from..=-(from - days).max(1)).collect(),
        )
    });
    prop_oneof![3 => entries(1, 31), 2 => list(prop_oneof![last, from_end, range, single(1, 31)])]
}

fn of_week() -> impl Strategy<Value = (String, Vec<OfWeek>)> {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let every = (0..=7_i64).prop_map(|day| (day.to_string(), vec![OfWeek::Every(day % 7)]));
    let range = (0..=6_i64, 0..=5_i64).prop_map(|(from, more)| {
        let to = (from + more) % 7;
        let days = (from..=from + more)
            .map(|day| OfWeek::Every(day % 7))
            .collect();
        (
            format!("{}-{}", NAMES[from as usize], NAMES[to as usize]),
            days,
        )
    });
    let nth = (0..=6_i64, prop_oneof![1..=5_i64, -5..=-1_i64]).prop_map(|(day, n)| {
        (
            format!("{}#{n}", NAMES[day as usize]),
            vec![OfWeek::Nth(day, n)],
        )
    });
    let modulo = (0..=6_i64, 1..=6_i64, 0..=6_i64).prop_map(|(day, divisor, remainder)| {
        (
            format!("{day}%{divisor}+{remainder}"),
            vec![OfWeek::Modulo(day, divisor, remainder)],
        )
    });
    let entry = prop_oneof![3 => every, 2 => range, 2 => nth, 2 => modulo];
    proptest::collection::vec(entry, 1..4).prop_map(|entries| {
        let (texts, days): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        (texts.join(","), days.concat())
    })
}
