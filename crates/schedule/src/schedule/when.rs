//! The times on the wall of a schedule.

use jiff::civil::{DateTime, Time, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    civil::Wall,
    cron::{Cron, Days, EVERY_MONTH, Fields},
    evaluate::{Match, WallRule},
    schedule::ScheduleError,
};

/// The times on the wall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum When {
    /// Those of a cron expression.
    Cron(Cron),
    /// A day of every month.
    Monthly {
        /// The day; where a month does not have it, its last day.
        day: MonthDay,
        /// The time of the day.
        time: Time,
    },
    /// One time only.
    Once(DateTime),
    /// Days of every week.
    Weekly {
        /// The days.
        days: DaysOfWeek,
        /// The time of the day.
        time: Time,
    },
}

/// A day of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MonthDay(u8);

/// Days of the week, each once. In serde a list of `sun` to `sat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DaysOfWeek(u8);

impl When {
    pub(crate) fn hour_is_unrestricted(&self) -> bool {
        matches!(self, Self::Cron(cron) if cron.fields().hour_is_unrestricted())
    }

    /// Calls with the rule that the times come from.
    fn rule<T>(&self, with: impl FnOnce(&dyn WallRule) -> T) -> T {
        match self {
            Self::Cron(cron) => with(cron.fields()),
            Self::Monthly { day, time } => {
                let days = Days {
                    any_of_month: false,
                    clamp: true,
                    ..Days::ANY
                };
                with(&at(
                    *time,
                    match day.day() {
                        Some(day) => Days {
                            from_start: 1 << day,
                            ..days
                        },
                        None => Days {
                            from_end: 1 << 1,
                            ..days
                        },
                    },
                ))
            }
            Self::Once(once) => with(once),
            Self::Weekly { days, time } => with(&at(
                *time,
                Days {
                    any_of_week: false,
                    every_week: days.0,
                    ..Days::ANY
                },
            )),
        }
    }
}

fn at(time: Time, days: Days) -> Fields {
    Fields {
        seconds: 1 << time.second(),
        minutes: 1 << time.minute(),
        hours: 1 << time.hour(),
        months: EVERY_MONTH,
        days,
    }
}

impl WallRule for When {
    fn at_or_after(&self, wall: Wall) -> Option<Match> {
        match self {
            Self::Cron(cron) => cron.fields().at_or_after(wall),
            _ => self.rule(|rule| rule.at_or_after(wall)),
        }
    }

    fn at_or_before(&self, wall: Wall) -> Option<Match> {
        self.rule(|rule| rule.at_or_before(wall))
    }
}

impl MonthDay {
    /// The last day of the month.
    pub const LAST: Self = Self(0);

    /// That day, 1 to 31; where a month does not have it, its last day.
    pub fn new(day: u8) -> Result<Self, ScheduleError> {
        if (1..=31).contains(&day) {
            Ok(Self(day))
        } else {
            Err(ScheduleError::DayOfMonth { day })
        }
    }

    /// The day's number, `None` for the last.
    pub fn day(self) -> Option<u8> {
        (self != Self::LAST).then_some(self.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum MonthDayForm {
    Day(u8),
    Last(Last),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Last {
    Last,
}

impl Serialize for MonthDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.day()
            .map_or(MonthDayForm::Last(Last::Last), MonthDayForm::Day)
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MonthDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match MonthDayForm::deserialize(deserializer)? {
            MonthDayForm::Day(day) => Self::new(day).map_err(de::Error::custom),
            MonthDayForm::Last(Last::Last) => Ok(Self::LAST),
        }
    }
}

const NAMES: [(&str, Weekday); 7] = [
    ("sun", Weekday::Sunday),
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
];

impl DaysOfWeek {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The days, from Sunday.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        NAMES
            .into_iter()
            .map(|(_, day)| day)
            .filter(move |day| self.0 >> bit(*day) & 1 == 1)
    }
}

fn bit(day: Weekday) -> i8 {
    day.to_sunday_zero_offset()
}

impl FromIterator<Weekday> for DaysOfWeek {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | 1 << bit(day)))
    }
}

impl Serialize for DaysOfWeek {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|day| NAMES[bit(day) as usize].0))
    }
}

impl<'de> Deserialize<'de> for DaysOfWeek {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names
            .iter()
            .map(|name| {
                let known = NAMES.iter().find(|(known, _)| known == name);
                known.map(|(_, day)| *day).ok_or_else(|| {
                    de::Error::unknown_variant(
                        name,
                        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
                    )
                })
            })
            .collect()
    }
}
