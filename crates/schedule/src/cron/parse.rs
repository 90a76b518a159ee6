//! The words of an expression: shorthand, fields, time zone. The grammar is in `GRAMMAR.md`.

use crate::{
    cron::{
        Dialect,
        days::Days,
        error::{Field, ParseError, ParseErrorReason},
        field::{self, Reader},
        fields::Fields,
    },
    zone::{Zone, ZoneError},
};

/// Far more than any expression needs; what is longer is not one.
const LONGEST: usize = 1000;

const ALIASES: [(&str, &str); 8] = [
    ("@annually", "0 0 1 1 *"),
    ("@daily", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
    ("@midnight", "0 0 * * *"),
    ("@monthly", "0 0 1 * *"),
    ("@noon", "0 12 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@yearly", "0 0 1 1 *"),
];

/// A word of the expression and where it begins, in bytes.
type Word<'a> = (usize, &'a str);

pub(super) fn parse(
    text: &str,
    dialect: Dialect,
    zones: impl Fn(&str) -> Result<Zone, ZoneError>,
) -> Result<(Fields, Option<Zone>), ParseError> {
    if text.len() > LONGEST {
        return Err(at(
            text,
            0,
            None,
            ParseErrorReason::TooLong { max: LONGEST },
        ));
    }
    // Seven words are the most there can be; two more tell how it was meant.
    let mut words = [(text.len(), ""); 9];
    let mut count = 0;
    for word in split(text) {
        words[count.min(8)] = word;
        count += 1;
    }
    let words = &words[..count.min(9)];
    let (fields, zone) = match words {
        [] => {
            return Err(at(text, 0, None, ParseErrorReason::Empty)
                .hint("write five fields, such as \"0 7 * * *\""));
        }
        [alias, zone @ ..] if alias.1.starts_with('@') => {
            (alias_of(text, *alias, zone)?, zone.first())
        }
        [fields @ .., zone] if count >= 6 && looks_like_zone(zone.1) => {
            (fields_of(text, dialect, fields, count - 1)?, Some(zone))
        }
        fields => (fields_of(text, dialect, fields, count)?, None),
    };
    let zone = zone
        .map(|(start, name)| {
            zones(name).map_err(|error| at(text, *start, Some(Field::Zone), error.into()))
        })
        .transpose()?;
    Ok((fields, zone))
}

fn alias_of(text: &str, (start, name): Word<'_>, rest: &[Word<'_>]) -> Result<Fields, ParseError> {
    if let [_, (next, word), ..] = rest {
        let found = field::excerpt(word);
        return Err(at(
            text,
            *next,
            None,
            ParseErrorReason::Unexpected { found },
        ));
    }
    let known = ALIASES.binary_search_by_key(&name, |(alias, _)| alias);
    let Ok(index) = known else {
        let reason = ParseErrorReason::UnknownAlias {
            name: field::excerpt(name),
        };
        let hint = nearest(name, ALIASES.iter().map(|(alias, _)| *alias)).map_or_else(
            || "there are @yearly, @monthly, @weekly, @daily, @noon and @hourly".to_owned(),
            |alias| format!("did you mean {alias:?}?"),
        );
        return Err(at(text, start, None, reason).hint(hint));
    };
    let mut words = [(0, ""); 5];
    for (word, found) in words.iter_mut().zip(split(ALIASES[index].1)) {
        *word = found;
    }
    fields_of(ALIASES[index].1, Dialect::Crontab, &words, 5)
}

fn fields_of(
    text: &str,
    dialect: Dialect,
    words: &[Word<'_>],
    found: usize,
) -> Result<Fields, ParseError> {
    let (second, words) = match (found, words) {
        (5, _) => (None, words),
        (6, [second, words @ ..]) => (Some(second), words),
        _ => {
            let beyond = words
                .get(6)
                .map_or(text.trim_ascii_end().len(), |(start, _)| *start);
            let error = at(text, beyond, None, ParseErrorReason::FieldCount { found });
            return Err(if found == 7 {
                error.hint("a year field is not supported")
            } else {
                error
            });
        }
    };
    let reader = |index: usize, field| Reader::new(text, words[index], field);
    let seconds = match second {
        Some(word) => Reader::new(text, *word, Field::Second).numbers()?,
        None => 1,
    };
    let minutes = reader(0, Field::Minute).numbers()?;
    let hours = reader(1, Field::Hour).numbers()? as u32;
    let mut days = Days::ANY;
    let and_month = reader(2, Field::DayOfMonth).days_of_month(&mut days)?;
    let months = reader(3, Field::Month).numbers()? as u16;
    let and_week = reader(4, Field::DayOfWeek).days_of_week(&mut days)?;
    // `*` beside other entries is any day: what is not looked at must not tell two apart.
    if days.any_of_month {
        (days.from_start, days.from_end) = (0, 0);
    }
    if days.any_of_week {
        (days.every_week, days.some_weeks) = (0, None);
    }
    let restricted = !days.any_of_month && !days.any_of_week;
    days.both = restricted && (and_month || and_week || dialect == Dialect::Rufus2);
    if !days.ever(months) {
        let error = at(
            text,
            words[2].0,
            Some(Field::DayOfMonth),
            ParseErrorReason::NeverFires,
        );
        return Err(if restricted {
            error.hint("the day of the month and the day of the week must both match")
        } else {
            error.hint("\"L\" is the last day of any month")
        });
    }
    Ok(Fields {
        seconds,
        minutes,
        hours,
        months,
        days,
    })
}

/// Whether the last of six words or more is meant as a time zone. It is a weekday if it begins
/// as one: no zone does.
fn looks_like_zone(word: &str) -> bool {
    let is_weekday = word.get(..3).is_some_and(|start| {
        field::WEEKDAYS
            .iter()
            .any(|day| day.eq_ignore_ascii_case(start))
    });
    word.starts_with(['+', '-'])
        || word.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_weekday
}

fn split(text: &str) -> impl Iterator<Item = Word<'_>> {
    let text_start = text.len() - text.trim_ascii_start().len();
    let mut start = text_start;
    text.trim_ascii()
        .split([' ', '\t'])
        .filter_map(move |word| {
            let at = start;
            start += word.len() + 1;
            (!word.is_empty()).then_some((at, word))
        })
}

/// An error at a byte of the text.
pub(super) fn at(
    text: &str,
    byte: usize,
    field: Option<Field>,
    reason: ParseErrorReason,
) -> ParseError {
    let column = text
        .char_indices()
        .take_while(|(start, _)| *start < byte)
        .count()
        + 1;
    ParseError {
        column,
        field,
        reason,
        hint: None,
    }
}

/// The name that is most like a word, if any is.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = field::excerpt(word).to_ascii_lowercase();
    names
        .map(|name| (strsim::normalized_levenshtein(&word, name), name))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
