//! One field: a list of values, ranges and steps.

use crate::cron::{
    days::{Days, Modulo},
    error::{Field, ParseError, ParseErrorReason},
    parse::{at, nearest},
};

pub(super) const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
pub(super) const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Reads one word of an expression.
pub(super) struct Reader<'a> {
    text: &'a str,
    start: usize,
    word: &'a str,
    position: usize,
    field: Field,
}

/// One entry of a list.
enum Item {
    Every,
    Range { from: i32, to: i32, step: i32 },
}

impl Field {
    /// The least value, the greatest, and the greatest that is written: 24 is hour 0, 7 is Sunday.
    fn bounds(self) -> (i32, i32, i32) {
        match self {
            Self::Hour => (0, 23, 24),
            Self::DayOfMonth => (1, 31, 31),
            Self::Month => (1, 12, 12),
            Self::DayOfWeek => (0, 6, 7),
            Self::Second | Self::Minute | Self::Zone => (0, 59, 59),
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, (start, word): (usize, &'a str), field: Field) -> Self {
        Self {
            text,
            start,
            word,
            position: 0,
            field,
        }
    }

    /// A field of plain numbers, a bit each.
    pub(super) fn numbers(mut self) -> Result<u64, ParseError> {
        let mut bits = 0;
        self.list(|reader| {
            let item = reader.item()?;
            let (min, max, _) = reader.field.bounds();
            match item {
                Item::Every => expand(min, max, (min, max), 1, |value| bits |= 1 << value),
                Item::Range { from, to, step } => {
                    expand(from, to, (min, max), step, |value| bits |= 1 << value);
                }
            }
            Ok(())
        })?;
        Ok(bits)
    }

    /// Sets the days of the month; whether `&` follows.
    pub(super) fn days_of_month(mut self, days: &mut Days) -> Result<bool, ParseError> {
        days.any_of_month = false;
        self.list(|reader| {
            match reader.item()? {
                Item::Every => days.any_of_month = true,
                Item::Range { from, to, step } if from < 0 => {
                    expand(from, to, (-31, -1), step, |value| {
                        days.from_end |= 1 << -value;
                    });
                }
                Item::Range { from, to, step } => {
                    expand(from, to, (1, 31), step, |value| {
                        days.from_start |= 1 << value;
                    });
                }
            }
            Ok(())
        })
    }

    /// Sets the days of the week; whether `&` follows.
    pub(super) fn days_of_week(mut self, days: &mut Days) -> Result<bool, ParseError> {
        days.any_of_week = false;
        self.list(|reader| {
            let start = reader.position;
            let item = reader.item()?;
            match (reader.peek(), item) {
                (Some(b'#' | b'%'), Item::Range { from, to, step: 1 }) if from == to => {
                    if reader.word[start..reader.position].contains(['-', '/']) {
                        return Err(reader.unexpected());
                    }
                    reader.some_weeks(from.rem_euclid(7) as u8, days)?;
                }
                (_, Item::Every) => days.any_of_week = true,
                (_, Item::Range { from, to, step }) => {
                    expand(from, to, (0, 6), step, |value| {
                        days.every_week |= 1 << value;
                    });
                }
            }
            Ok(())
        })
    }

    /// `#n`, `#-n`, `#L` or `%m+k` after a weekday.
    fn some_weeks(&mut self, weekday: u8, days: &mut Days) -> Result<(), ParseError> {
        let some = days.some_weeks.get_or_insert_default();
        if self.take(b'#') {
            let start = self.position;
            let occurrence = self.occurrence()?;
            let weeks = if occurrence < 0 {
                &mut some.nth_from_end
            } else {
                &mut some.nth
            };
            match weeks.get_mut((occurrence.unsigned_abs() as usize).wrapping_sub(1)) {
                Some(weekdays) => *weekdays |= 1 << weekday,
                None => return Err(self.error(start, ParseErrorReason::Occurrence)),
            }
            return Ok(());
        }
        self.position += 1;
        let start = self.position;
        let divisor = self.digits(3)?;
        if divisor == 0 {
            return Err(self.error(start, ParseErrorReason::WeekModulo));
        }
        let remainder = if self.take(b'+') {
            self.digits(3)? % divisor
        } else {
            0
        };
        let modulo = Modulo {
            weekday,
            divisor: divisor as u16,
            remainder: remainder as u16,
        };
        if let Err(place) = some.modulo.binary_search(&modulo) {
            some.modulo.insert(place, modulo);
        }
        Ok(())
    }

    fn occurrence(&mut self) -> Result<i32, ParseError> {
        if self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            return self.last();
        }
        let negative = self.take(b'-');
        let number = self.digits(2)?;
        Ok(if negative { -number } else { number })
    }

    /// The entries between commas; empty ones are passed over. Whether `&` follows.
    fn list(
        &mut self,
        mut entry: impl FnMut(&mut Self) -> Result<(), ParseError>,
    ) -> Result<bool, ParseError> {
        let mut any = false;
        while let Some(byte) = self.peek() {
            match byte {
                b',' => self.position += 1,
                b'&' if any && self.position + 1 == self.word.len() && self.is_day() => {
                    return Ok(true);
                }
                _ => {
                    entry(self)?;
                    any = true;
                    if !matches!(self.peek(), None | Some(b',' | b'&')) {
                        return Err(self.unexpected());
                    }
                    if self.peek() == Some(b'&')
                        && !(self.is_day() && self.position + 1 == self.word.len())
                    {
                        return Err(self.unexpected());
                    }
                }
            }
        }
        if any {
            Ok(false)
        } else {
            Err(self.error(0, ParseErrorReason::Empty))
        }
    }

    fn is_day(&self) -> bool {
        matches!(self.field, Field::DayOfMonth | Field::DayOfWeek)
    }

    fn item(&mut self) -> Result<Item, ParseError> {
        let (min, max, _) = self.field.bounds();
        let start = self.position;
        if self.take(b'*') || self.peek() == Some(b'/') {
            let step = self.step()?.unwrap_or(1);
            return Ok(if step == 1 {
                Item::Every
            } else {
                Item::Range {
                    from: min,
                    to: max,
                    step,
                }
            });
        }
        let from = self.value()?;
        let to = if self.take(b'-') {
            Some(self.value()?)
        } else {
            None
        };
        let step = self.step()?;
        let to = match (to, step) {
            (Some(-1), _) if from > 0 => max,
            (Some(to), _) if (from < 0) != (to < 0) => {
                return Err(self
                    .error(start, ParseErrorReason::MixedRange)
                    .hint("write days from the end as \"-5--1\", smallest first"));
            }
            (Some(to), _) => to,
            (None, Some(_)) if from < 0 => {
                return Err(self
                    .error(start, ParseErrorReason::MixedRange)
                    .hint("a step needs both ends here, such as \"-9--1/2\""));
            }
            (None, Some(_)) => max,
            (None, None) => from,
        };
        Ok(Item::Range {
            from,
            to,
            step: step.unwrap_or(1),
        })
    }

    fn step(&mut self) -> Result<Option<i32>, ParseError> {
        if !self.take(b'/') {
            return Ok(None);
        }
        let start = self.position;
        match self.digits(2) {
            Ok(0) => Err(self.error(start, ParseErrorReason::Step)),
            Ok(step) => Ok(Some(step)),
            Err(error) if matches!(error.reason, ParseErrorReason::Unexpected { .. }) => {
                Err(self.error(start, ParseErrorReason::Step))
            }
            Err(error) => Err(error),
        }
    }

    /// A number or a name.
    fn value(&mut self) -> Result<i32, ParseError> {
        let start = self.position;
        if self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            return self.name();
        }
        let negative = self.field == Field::DayOfMonth && self.take(b'-');
        let digits = self.digits(2)?;
        let (min, max, written) = self.field.bounds();
        if digits < min || digits > written {
            let (value, min, max) = if negative {
                (-digits, -max, -min)
            } else {
                (digits, min, written)
            };
            return Err(self.error(start, ParseErrorReason::OutOfRange { value, min, max }));
        }
        Ok(if negative { -digits } else { digits })
    }

    fn name(&mut self) -> Result<i32, ParseError> {
        if self.field == Field::DayOfMonth {
            return self.last();
        }
        let start = self.position;
        let name = self.letters();
        let names = self.field.names();
        if let Some(index) = names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
        {
            return Ok(index as i32 + self.field.bounds().0);
        }
        if names.is_empty() {
            self.position = start;
            return Err(self.not_a_number());
        }
        let begins = |known: &&&str| name.get(..3).is_some_and(|n| known.eq_ignore_ascii_case(n));
        let meant = names
            .iter()
            .find(begins)
            .copied()
            .or_else(|| nearest(name, names.iter().copied()));
        let error = self.error(
            start,
            ParseErrorReason::UnknownName {
                name: excerpt(name),
            },
        );
        Err(match meant {
            Some(known) => error.hint(format!("did you mean {known:?}?")),
            None => error.hint(format!(
                "names are {} to {}",
                names[0],
                names[names.len() - 1]
            )),
        })
    }

    /// `L` or `last`.
    fn last(&mut self) -> Result<i32, ParseError> {
        let start = self.position;
        let word = self.letters();
        if word.eq_ignore_ascii_case("l") || word == "last" {
            return Ok(-1);
        }
        if word.eq_ignore_ascii_case("w") || word.eq_ignore_ascii_case("lw") {
            self.position = start;
            return Err(self.unexpected());
        }
        let error = self.error(
            start,
            ParseErrorReason::UnknownName {
                name: excerpt(word),
            },
        );
        Err(error.hint("write \"L\" or \"last\" for the last"))
    }

    fn letters(&mut self) -> &'a str {
        let rest = &self.word[self.position..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    /// A number of one digit up to `most`.
    fn digits(&mut self, most: usize) -> Result<i32, ParseError> {
        let start = self.position;
        let mut number = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.position - start == most {
                self.position = start;
                return Err(self.unexpected().hint(if most == 2 {
                    "a number here has at most two digits"
                } else {
                    "a number here has at most three digits"
                }));
            }
            number = number * 10 + i32::from(digit - b'0');
            self.position += 1;
        }
        if self.position == start {
            Err(self.not_a_number())
        } else {
            Ok(number)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.word.as_bytes().get(self.position).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.position += usize::from(found);
        found
    }

    fn error(&self, position: usize, reason: ParseErrorReason) -> ParseError {
        at(self.text, self.start + position, Some(self.field), reason)
    }

    fn not_a_number(&self) -> ParseError {
        match self.foreign() {
            Some((what, hint)) => self
                .error(self.position, ParseErrorReason::Unsupported { what })
                .hint(hint),
            None if self.position == self.word.len() => self
                .error(self.position, ParseErrorReason::Empty)
                .hint("a number is missing"),
            None => {
                let found = excerpt(&self.word[self.position..]);
                self.error(self.position, ParseErrorReason::NotANumber { found })
            }
        }
    }

    fn unexpected(&self) -> ParseError {
        match self.foreign() {
            Some((what, hint)) => self
                .error(self.position, ParseErrorReason::Unsupported { what })
                .hint(hint),
            None => {
                let found = excerpt(&self.word[self.position..]);
                self.error(self.position, ParseErrorReason::Unexpected { found })
            }
        }
    }

    /// What other crons have, and what to write here.
    fn foreign(&self) -> Option<(&'static str, &'static str)> {
        match self.peek()? {
            b'?' => Some(("\"?\" (Quartz)", "write \"*\"")),
            b'H' | b'h' => Some((
                "\"H\" (Jenkins)",
                "write a number, and give the schedule jitter",
            )),
            b'L' | b'l' if self.field == Field::DayOfWeek => Some((
                "\"5L\" (Quartz)",
                "write \"fri#L\" for the last Friday of the month",
            )),
            b'R' | b'r' | b'~' => Some((
                "a random value",
                "write a number, and give the schedule jitter",
            )),
            b'W' | b'w' => Some(("\"W\", the nearest working day (Quartz)", "write a day")),
            _ => None,
        }
    }
}

impl ParseError {
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Calls with every value of a range that may wrap around the field's end.
fn expand(from: i32, to: i32, (min, max): (i32, i32), step: i32, mut with: impl FnMut(i32)) {
    let size = max - min + 1;
    let first = if from > max { from - size } else { from };
    let mut length = if from == to { 0 } else { to - first };
    if length < 0 {
        length += size;
    }
    for value in (first..=first + length).step_by(step as usize) {
        with(if value > max { value - size } else { value });
    }
}

/// The beginning of what was read: input may be long and hostile.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(16).collect()
}
