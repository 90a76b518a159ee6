//! Time zones by name, from the bundled database or from one passed in.

mod newer;

use std::{borrow::Cow, cmp::Ordering, fmt, sync::LazyLock};

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time zone: an IANA name such as `Europe/Berlin`, or a fixed offset such as `+05:30`.
///
/// Names are case-sensitive, as in the IANA database. What only looks like a zone is refused with
/// a hint: `GMT+2`, which some parsers take for GMT, `utc`, `Z`, `CEST`.
///
/// ```
/// use stillpoint_schedule::Zone;
///
/// assert_eq!(Zone::named("Europe/Berlin")?.to_string(), "Europe/Berlin");
/// assert_eq!(Zone::named("-0330")?.to_string(), "-03:30");
/// assert_eq!(
///     Zone::named("Europe/berlin").unwrap_err().to_string(),
///     "unknown time zone \"Europe/berlin\"; did you mean \"Europe/Berlin\"?",
/// );
/// # Ok::<(), stillpoint_schedule::ZoneError>(())
/// ```
///
/// The rules behind a name come from the database that is compiled into this crate (through jiff),
/// so the same release gives the same answers on every machine. To use other rules, take the zone
/// [from a database of your own](Zone::from_database), or [from rules](Zone::try_from).
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A time zone that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZoneError {
    /// An offset whose hours are over 18 or whose minutes are over 59.
    #[error("the offset {offset:?} is out of range; an offset is -18:00 to +18:00")]
    Offset {
        /// The offset as it was given.
        offset: String,
    },
    /// Rules that have neither a name nor a fixed offset, so that they could not be stored.
    #[error("a time zone without a name; take one by its IANA name or its offset")]
    Nameless,
    /// A name that the database does not have.
    #[error("unknown time zone {name:?}; {hint}")]
    Unknown {
        /// The name as it was given, cut after 64 characters.
        name: String,
        /// What to write instead.
        hint: String,
    },
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// The zone of that name (or of that offset, `±HH:MM` or `±HHMM`) in the bundled database.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        match newer::find(name) {
            Some(zone) => Ok(Self(zone)),
            None => Self::from_database(name, bundled()),
        }
    }

    /// The zone of that name (or of that offset) in a database of the caller's.
    pub fn from_database(name: &str, database: &TimeZoneDatabase) -> Result<Self, ZoneError> {
        if name.starts_with(['+', '-']) {
            return offset(name).map(|offset| Self(TimeZone::fixed(offset)));
        }
        // The database ignores case; a crontab that is right here must be right elsewhere.
        match database.get(name) {
            Ok(zone) if zone.iana_name() == Some(name) => Ok(Self(zone)),
            _ => Err(ZoneError::Unknown {
                name: excerpt(name),
                hint: hint(name, database),
            }),
        }
    }

    /// The IANA name, or the offset as `±HH:MM`.
    pub fn name(&self) -> Cow<'_, str> {
        match (self.0.iana_name(), self.0.to_fixed_offset()) {
            (Some(name), _) => Cow::Borrowed(name),
            (None, Ok(offset)) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
                Cow::Owned(format!("{sign}{hours:02}:{minutes:02}"))
            }
            // Only a zone with a name or an offset is ever put in.
            (None, Err(_)) => Cow::Borrowed("UTC"),
        }
    }

    /// The rules of the zone.
    pub fn time_zone(&self) -> &TimeZone {
        &self.0
    }
}

impl TryFrom<TimeZone> for Zone {
    type Error = ZoneError;

    fn try_from(zone: TimeZone) -> Result<Self, ZoneError> {
        if zone.iana_name().is_some() || zone.to_fixed_offset().is_ok() {
            Ok(Self(zone))
        } else {
            Err(ZoneError::Nameless)
        }
    }
}

/// Every caller shares one database, because it caches the zones it was asked for.
fn bundled() -> &'static TimeZoneDatabase {
    static DATABASE: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    &DATABASE
}

fn offset(text: &str) -> Result<Offset, ZoneError> {
    let unknown = || ZoneError::Unknown {
        name: excerpt(text),
        hint: "an offset is written +HH:MM or -HH:MM".to_owned(),
    };
    let (hours, minutes) = match text.as_bytes() {
        [_, h1, h2, b':', m1, m2] | [_, h1, h2, m1, m2] => ([*h1, *h2], [*m1, *m2]),
        _ => return Err(unknown()),
    };
    let number = |[tens, ones]: [u8; 2]| {
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let (hours, minutes) = number(hours).zip(number(minutes)).ok_or_else(unknown)?;
    let seconds = hours * 3600 + minutes * 60;
    let signed = if text.starts_with('-') {
        -seconds
    } else {
        seconds
    };
    if minutes > 59 || seconds > 18 * 3600 {
        return Err(ZoneError::Offset {
            offset: text.to_owned(),
        });
    }
    Offset::from_seconds(signed).map_err(|_| ZoneError::Offset {
        offset: text.to_owned(),
    })
}

fn hint(name: &str, database: &TimeZoneDatabase) -> String {
    if let Some(rest) = name
        .strip_prefix("GMT")
        .or_else(|| name.strip_prefix("UTC"))
        && rest.starts_with(['+', '-'])
    {
        return format!(
            "write the offset alone, such as {}",
            offset_of_shorthand(rest)
        );
    }
    if name == "Z" {
        return "write \"UTC\"".to_owned();
    }
    let wanted = excerpt(name).to_ascii_lowercase();
    database
        .available()
        .map(|known| {
            (
                strsim::normalized_levenshtein(&wanted, &known.as_str().to_ascii_lowercase()),
                known,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal))
        .map_or_else(
            || {
                "write an IANA name such as \"Europe/Berlin\", or an offset such as +02:00"
                    .to_owned()
            },
            |(_, known)| format!("did you mean {:?}?", known.as_str()),
        )
}

/// `+2` as `+02:00`.
fn offset_of_shorthand(text: &str) -> String {
    match text[1..].parse::<u8>() {
        Ok(hours) if hours <= 18 => format!("{}{hours:02}:00", &text[..1]),
        _ => "+02:00".to_owned(),
    }
}

fn excerpt(name: &str) -> String {
    name.chars().take(64).collect()
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Zone::named(&name).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_exact_or_refused() {
        for (text, name) in [
            ("+09:00", "+09:00"),
            ("-0330", "-03:30"),
            ("+0000", "UTC"),
            ("-18:00", "-18:00"),
        ] {
            assert_eq!(Zone::named(text).unwrap().name(), name, "{text}");
        }
        for text in [
            "+5", "+05", "+5:00", "+18:01", "-19:00", "+05:60", "+05:3a", "+", "-1:230", "+é:00",
        ] {
            Zone::named(text).expect_err(text);
        }
    }

    #[test]
    fn what_looks_like_a_zone_is_refused_with_what_to_write() {
        for (name, hint) in [
            ("GMT+2", "write the offset alone, such as +02:00"),
            ("UTC-03", "write the offset alone, such as -03:00"),
            ("utc", "did you mean \"UTC\"?"),
            ("Z", "write \"UTC\""),
            ("Europe/Berlim", "did you mean \"Europe/Berlin\"?"),
            (
                "xyzzy",
                "write an IANA name such as \"Europe/Berlin\", or an offset such as +02:00",
            ),
        ] {
            let error = Zone::named(name).unwrap_err().to_string();
            assert!(error.ends_with(hint), "{error}");
        }
        let long = "A".repeat(100_000);
        assert!(Zone::named(&long).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn a_zone_may_come_from_the_callers_own_database() {
        let empty = TimeZoneDatabase::none();
        assert!(Zone::from_database("Europe/Berlin", &empty).is_err());
        assert!(Zone::from_database("Europe/Berlin", bundled()).is_ok());
        let rules = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        assert_eq!(Zone::try_from(rules), Err(ZoneError::Nameless));
    }
}
