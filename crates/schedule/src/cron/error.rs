//! What is wrong with an expression, where, and what was probably meant.

use std::fmt;

use crate::zone::ZoneError;

/// An expression that was refused.
///
/// ```
/// use stillpoint_schedule::Cron;
///
/// assert_eq!(
///     Cron::parse("0 0 * january *").unwrap_err().to_string(),
///     "column 7, month: unknown name \"january\"; did you mean \"jan\"?",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}{}: {reason}{}", In(.field), Hint(.hint))]
pub struct ParseError {
    /// Where, in characters from 1.
    pub column: usize,
    /// In which field, where one could be told.
    pub field: Option<Field>,
    /// What is wrong there.
    pub reason: ParseErrorReason,
    /// What to write instead.
    pub hint: Option<String>,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorReason {
    /// Nothing, or nothing between commas.
    #[error("nothing here")]
    Empty,
    /// Not 5 or 6 fields.
    #[error("{found} fields; an expression has 5, or 6 with the seconds first")]
    FieldCount {
        /// How many there are, without a time zone.
        found: usize,
    },
    /// A range from the end of the month to its start, or to a day counted from the end.
    #[error("a range counts days from the start of the month or from its end, not from both")]
    MixedRange,
    /// The days do not exist in the months.
    #[error("never fires: no such day in these months")]
    NeverFires,
    /// Something else where a number is needed.
    #[error("expected a number, found {found:?}")]
    NotANumber {
        /// What is there instead.
        found: String,
    },
    /// `sun#0`, `sun#6`.
    #[error("no month has such an occurrence of a weekday; they are 1 to 5 and -1 to -5")]
    Occurrence,
    /// A number that the field does not have.
    #[error("{value} is out of range, {min} to {max}")]
    OutOfRange {
        /// The number.
        value: i32,
        /// The least.
        min: i32,
        /// The greatest.
        max: i32,
    },
    /// A step of zero, or of more than two digits.
    #[error("a step is 1 to 99")]
    Step,
    /// Over a thousand characters.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The most that is read.
        max: usize,
    },
    /// Something after the end of a value.
    #[error("unexpected {found:?}")]
    Unexpected {
        /// What is there.
        found: String,
    },
    /// An `@name` that is none.
    #[error("unknown shorthand {name:?}")]
    UnknownAlias {
        /// The name as written.
        name: String,
    },
    /// A month or weekday that is none.
    #[error("unknown name {name:?}")]
    UnknownName {
        /// The name as written.
        name: String,
    },
    /// What another cron has and this one does not.
    #[error("{what} is not supported")]
    Unsupported {
        /// What it is.
        what: &'static str,
    },
    /// A week modulo that is not 1 to 999.
    #[error("a week modulo is 1 to 999")]
    WeekModulo,
    /// The time zone at the end.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

/// A field of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// 0 to 59.
    Second,
    /// 0 to 59.
    Minute,
    /// 0 to 24, where 24 is 0.
    Hour,
    /// 1 to 31, -1 to -31, `L`.
    DayOfMonth,
    /// 1 to 12, `jan` to `dec`.
    Month,
    /// 0 to 7, where 7 is 0, `sun` to `sat`.
    DayOfWeek,
    /// An IANA name or an offset.
    Zone,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Zone => "time zone",
        })
    }
}

struct In<'a>(&'a Option<Field>);

impl fmt::Display for In<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |field| write!(f, ", {field}"))
    }
}

struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}
