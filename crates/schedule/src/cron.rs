//! Cron expressions: what they are, and when they fire.

#[cfg(test)]
mod corpus;
mod days;
mod describe;
mod display;
mod error;
mod field;
mod fields;
mod parse;

use std::str::FromStr;

use jiff::{Timestamp, tz::TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::error::{Field, ParseError, ParseErrorReason};
pub(crate) use self::{
    days::Days,
    fields::{EVERY_MONTH, Fields},
};
use crate::{
    daylight::DaylightSaving,
    evaluate::{Evaluator, SearchError},
    run::Run,
    zone::{Zone, ZoneError},
};

/// A cron expression: five fields, or six with the seconds first, and an optional time zone.
///
/// Without a zone it is evaluated in UTC. The grammar is that of fugit, which BOSH uses; it is
/// written down in `GRAMMAR.md`, with what other crons have and this one refuses.
///
/// ```
/// use stillpoint_schedule::Cron;
///
/// let cron = Cron::parse("0 22 L * * Europe/Berlin")?;
/// assert_eq!(cron.describe(), "at 22:00 on the last day of every month, Europe/Berlin");
/// let runs: Vec<_> = cron.runs_after("2026-01-15T00:00:00Z".parse()?).take(2).collect();
/// assert_eq!(runs[0].at.to_string(), "2026-01-31T21:00:00Z");
/// assert_eq!(runs[1].wall.to_string(), "2026-02-28T22:00:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `Display` gives a canonical form, which parses to the same expression; serde uses it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    fields: Fields,
    // Not an option, which would take twice the room.
    zone: Zone,
    zone_is_named: bool,
}

/// How the day of the month and the day of the week go together, where both are restricted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dialect {
    /// Either, as in crontab(5), and as BOSH runs its schedules today. `&` asks for both.
    #[default]
    Crontab,
    /// Both, as rufus-scheduler 2 did, whose page the BOSH documentation still points to.
    Rufus2,
}

impl Cron {
    /// Reads an expression in the [crontab dialect](Dialect::Crontab), with the bundled zones.
    pub fn parse(expression: &str) -> Result<Self, ParseError> {
        Self::from_parts(parse::parse(expression, Dialect::Crontab, Zone::named))
    }

    /// Reads an expression in a dialect, with zones from a database of the caller's.
    ///
    /// ```
    /// use jiff::tz::TimeZoneDatabase;
    /// use stillpoint_schedule::{Cron, cron::Dialect};
    ///
    /// let zones = TimeZoneDatabase::bundled();
    /// let cron = Cron::parse_with("0 0 13 * fri", Dialect::Rufus2, &zones)?;
    /// assert_eq!(cron.to_string(), "0 0 13 * 5&"); // Friday the 13th, in either dialect
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse_with(
        expression: &str,
        dialect: Dialect,
        zones: &TimeZoneDatabase,
    ) -> Result<Self, ParseError> {
        let zone = |name: &str| Zone::from_database(name, zones);
        Self::from_parts(parse::parse(expression, dialect, zone))
    }

    fn from_parts(parts: Result<(Fields, Option<Zone>), ParseError>) -> Result<Self, ParseError> {
        parts.map(|(fields, zone)| Self {
            fields,
            zone_is_named: zone.is_some(),
            zone: zone.unwrap_or(Zone::UTC),
        })
    }

    /// The same expression in the zone of that name, instead of the one it has.
    pub fn tz(self, name: &str) -> Result<Self, ZoneError> {
        Zone::named(name).map(|zone| self.in_zone(zone))
    }

    /// The same expression in that zone, instead of the one it has.
    pub fn in_zone(mut self, zone: Zone) -> Self {
        (self.zone, self.zone_is_named) = (zone, true);
        self
    }

    /// The zone that the expression names.
    pub fn zone(&self) -> Option<&Zone> {
        self.zone_is_named.then_some(&self.zone)
    }

    /// The first run after an instant, under the [default policy](DaylightSaving::ByHour) for
    /// daylight saving. A [`Schedule`](crate::Schedule) takes any other.
    pub fn next_after(&self, after: Timestamp) -> Result<Run, SearchError> {
        self.evaluator()
            .next_after(after)
            .ok_or_else(|| SearchError::of(after, 1))
    }

    /// The last run before an instant, under the [default policy](DaylightSaving::ByHour).
    pub fn prev_before(&self, before: Timestamp) -> Result<Run, SearchError> {
        self.evaluator()
            .prev_before(before)
            .ok_or_else(|| SearchError::of(before, -1))
    }

    /// The runs after an instant, in order, until the end of time.
    pub fn runs_after(&self, after: Timestamp) -> impl Iterator<Item = Run> {
        let evaluator = self.evaluator();
        let mut last = Some(after);
        std::iter::from_fn(move || {
            let run = evaluator.next_after(last?);
            last = run.map(|run| run.at);
            run
        })
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    fn evaluator(&self) -> Evaluator<'_, Fields> {
        let policy = DaylightSaving::ByHour;
        let (gap, fold) = policy.resolve(self.fields.hour_is_unrestricted());
        Evaluator {
            rule: &self.fields,
            zone: self.zone.time_zone(),
            gap,
            fold,
        }
    }
}

impl FromStr for Cron {
    type Err = ParseError;

    fn from_str(expression: &str) -> Result<Self, ParseError> {
        Self::parse(expression)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expression = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&expression).map_err(de::Error::custom)
    }
}
