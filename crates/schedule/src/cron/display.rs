//! The canonical text of an expression.

use std::fmt::{self, Display, Formatter};

use crate::cron::{
    Cron,
    days::{Days, Modulo},
    fields::{EVERY_60, EVERY_HOUR, EVERY_MONTH},
};

impl Display for Cron {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let fields = &self.fields;
        if fields.seconds != 1 {
            numbers(f, fields.seconds, EVERY_60)?;
            f.write_str(" ")?;
        }
        numbers(f, fields.minutes, EVERY_60)?;
        f.write_str(" ")?;
        numbers(f, fields.hours.into(), EVERY_HOUR.into())?;
        f.write_str(" ")?;
        days_of_month(f, &fields.days)?;
        f.write_str(" ")?;
        numbers(f, fields.months.into(), EVERY_MONTH.into())?;
        f.write_str(" ")?;
        days_of_week(f, &fields.days)?;
        if fields.days.both {
            f.write_str("&")?;
        }
        self.zone().map_or(Ok(()), |zone| write!(f, " {zone}"))
    }
}

fn numbers(f: &mut Formatter<'_>, bits: u64, every: u64) -> fmt::Result {
    if bits == every {
        return f.write_str("*");
    }
    // A step over the whole field, where there are at least three values.
    let gap = (bits & (bits - 1))
        .trailing_zeros()
        .wrapping_sub(bits.trailing_zeros());
    let first = every.trailing_zeros();
    if bits.count_ones() > 2 && gap > 1 && stepped(first, gap, every) == bits {
        return write!(f, "*/{gap}");
    }
    let mut list = List::new(f);
    runs(bits).try_for_each(|(first, last)| list.range(first as i32, last as i32))
}

fn stepped(first: u32, step: u32, within: u64) -> u64 {
    (first..64)
        .step_by(step as usize)
        .fold(0, |bits, bit| bits | 1 << bit)
        & within
}

fn days_of_month(f: &mut Formatter<'_>, days: &Days) -> fmt::Result {
    if days.any_of_month {
        return f.write_str("*");
    }
    let mut list = List::new(f);
    for (first, last) in runs(days.from_start.into()) {
        list.range(first as i32, last as i32)?;
    }
    from_the_end(days.from_end).try_for_each(|(first, last)| list.range(first, last))
}

fn days_of_week(f: &mut Formatter<'_>, days: &Days) -> fmt::Result {
    if days.any_of_week {
        return f.write_str("*");
    }
    let mut list = List::new(f);
    for (first, last) in runs(days.every_week.into()) {
        list.range(first as i32, last as i32)?;
    }
    let Some(some) = days.some_weeks.as_deref() else {
        return Ok(());
    };
    for weekday in 0..7 {
        for (n, _) in (1..)
            .zip(some.nth)
            .filter(|(_, days)| days >> weekday & 1 == 1)
        {
            list.entry(format_args!("{weekday}#{n}"))?;
        }
        for (n, _) in (1..)
            .zip(some.nth_from_end)
            .filter(|(_, days)| days >> weekday & 1 == 1)
        {
            list.entry(format_args!("{weekday}#-{n}"))?;
        }
    }
    for Modulo {
        weekday,
        divisor,
        remainder,
    } in &some.modulo
    {
        match remainder {
            0 => list.entry(format_args!("{weekday}%{divisor}"))?,
            _ => list.entry(format_args!("{weekday}%{divisor}+{remainder}"))?,
        }
    }
    Ok(())
}

/// The runs of neighbouring bits, as first and last.
pub(super) fn runs(mut bits: u64) -> impl Iterator<Item = (u32, u32)> {
    std::iter::from_fn(move || {
        let first = (bits != 0).then(|| bits.trailing_zeros())?;
        let length = (bits >> first).trailing_ones();
        bits &= !((u64::MAX >> (64 - length)) << first);
        Some((first, first + length - 1))
    })
}

/// The runs of days from the end, as negative numbers in order: -5 to -3, then -1.
pub(super) fn from_the_end(bits: u32) -> impl Iterator<Item = (i32, i32)> {
    // Mirrored, so that the day furthest from the end comes first.
    runs(u64::from(bits.reverse_bits())).map(|(first, last)| (first as i32 - 31, last as i32 - 31))
}

/// Entries with commas between them.
struct List<'a, 'f> {
    f: &'a mut Formatter<'f>,
    any: bool,
}

impl<'a, 'f> List<'a, 'f> {
    fn new(f: &'a mut Formatter<'f>) -> Self {
        Self { f, any: false }
    }

    fn entry(&mut self, entry: fmt::Arguments<'_>) -> fmt::Result {
        if std::mem::replace(&mut self.any, true) {
            self.f.write_str(",")?;
        }
        self.f.write_fmt(entry)
    }

    fn range(&mut self, first: i32, last: i32) -> fmt::Result {
        match last - first {
            0 => self.entry(format_args!("{first}")),
            1 => self.entry(format_args!("{first},{last}")),
            _ => self.entry(format_args!("{first}-{last}")),
        }
    }
}
