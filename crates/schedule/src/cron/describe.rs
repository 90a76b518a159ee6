//! An expression as a sentence.

use crate::cron::{
    Cron,
    days::Days,
    display::{from_the_end, runs},
    fields::{EVERY_60, EVERY_HOUR, EVERY_MONTH, Fields},
};

/// Up to so many times of the day are written out.
const FEW: u32 = 6;

const MONTHS: [&str; 13] = [
    "",
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ORDINALS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];
const FROM_END: [&str; 5] = [
    "last",
    "last but one",
    "last but two",
    "last but three",
    "last but four",
];

impl Cron {
    /// The expression as a sentence in plain English, for a person to check what was meant.
    ///
    /// ```
    /// use stillpoint_schedule::Cron;
    ///
    /// assert_eq!(Cron::parse("*/15 * * * *")?.describe(), "every 15 minutes");
    /// assert_eq!(
    ///     Cron::parse("0 2,14 * * mon-fri UTC")?.describe(),
    ///     "at 02:00 and 14:00 on Monday to Friday, UTC",
    /// );
    /// assert_eq!(
    ///     Cron::parse("30 6 1 jan,jul mon#1")?.describe(),
    ///     "at 06:30 on day 1 of January and July and on the first Monday of the month in January and July",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn describe(&self) -> String {
        let mut sentence = format!("{}{}", time(&self.fields), days(&self.fields));
        if let Some(zone) = self.zone() {
            sentence.push_str(", ");
            sentence.push_str(&zone.name());
        }
        sentence
    }
}

fn time(fields: &Fields) -> String {
    let Fields {
        seconds,
        minutes,
        hours,
        ..
    } = *fields;
    let times = seconds.count_ones() * minutes.count_ones() * hours.count_ones();
    if times <= FEW {
        let mut written = Vec::new();
        for (hour, minute) in each(hours.into()).flat_map(|h| each(minutes).map(move |m| (h, m))) {
            written.extend(each(seconds).map(|second| match seconds {
                1 => format!("{hour:02}:{minute:02}"),
                _ => format!("{hour:02}:{minute:02}:{second:02}"),
            }));
        }
        return format!("at {}", join(written));
    }
    let of_hours = match hours {
        EVERY_HOUR => String::new(),
        _ => format!(" of {}", unit("hour", hours.into(), u64::from(EVERY_HOUR))),
    };
    if seconds == 1 {
        return match interval(minutes) {
            Some(1) => format!("every minute{of_hours}"),
            Some(step) => format!("every {step} minutes{of_hours}"),
            None if minutes == 1 && hours == EVERY_HOUR => "every hour".to_owned(),
            None if hours == EVERY_HOUR => {
                format!("at {} of every hour", unit("minute", minutes, EVERY_60))
            }
            None => format!("at {}{of_hours}", unit("minute", minutes, EVERY_60)),
        };
    }
    let start = match interval(seconds) {
        Some(1) => "every second".to_owned(),
        Some(step) => format!("every {step} seconds"),
        None => format!("at {}", unit("second", seconds, EVERY_60)),
    };
    match minutes {
        EVERY_60 if interval(seconds).is_some() => format!("{start}{of_hours}"),
        EVERY_60 => format!("{start} of every minute{of_hours}"),
        _ => format!("{start} of {}{of_hours}", unit("minute", minutes, EVERY_60)),
    }
}

fn days(fields: &Fields) -> String {
    let every_month = fields.months == EVERY_MONTH;
    let months = if every_month {
        "every month".to_owned()
    } else {
        join(spans(fields.months.into(), |month| {
            MONTHS[month as usize].to_owned()
        }))
    };
    let in_months = if every_month {
        String::new()
    } else {
        format!(" in {months}")
    };
    let days = &fields.days;
    let of_month = (!days.any_of_month).then(|| format!(" on {} of {months}", days_of_month(days)));
    let of_week = (!days.any_of_week).then(|| days_of_week(days));
    match (of_month, of_week) {
        (None, None) if fields.hour_is_unrestricted() => in_months,
        (None, None) => format!(" every day{in_months}"),
        (Some(of_month), None) => of_month,
        (None, Some(of_week)) => format!(" on {of_week}{in_months}"),
        (Some(of_month), Some(of_week)) if days.both => {
            format!("{of_month} if it is {of_week}")
        }
        (Some(of_month), Some(of_week)) => format!("{of_month} and on {of_week}{in_months}"),
    }
}

fn days_of_month(days: &Days) -> String {
    let mut written = Vec::new();
    if days.from_start != 0 {
        let plural = if days.from_start.count_ones() > 1 {
            "days"
        } else {
            "day"
        };
        let days = join(spans(days.from_start.into(), |day| day.to_string()));
        written.push(format!("{plural} {days}"));
    }
    let name = |day: i32| match day {
        -1 => "the last day".to_owned(),
        _ => format!("the last day but {}", -day - 1),
    };
    written.extend(from_the_end(days.from_end).map(|(first, last)| {
        if first == last {
            name(first)
        } else {
            format!("{} to {}", name(first), name(last))
        }
    }));
    join(written)
}

fn days_of_week(days: &Days) -> String {
    let mut written = spans(days.every_week.into(), |day| {
        WEEKDAYS[day as usize].to_owned()
    });
    let Some(some) = &days.some_weeks else {
        return join(written);
    };
    for (weekday, name) in WEEKDAYS.iter().enumerate() {
        let mut count = |weeks: [u8; 5], words: [&str; 5]| {
            for (_, word) in weeks
                .iter()
                .zip(words)
                .filter(|(days, _)| **days >> weekday & 1 == 1)
            {
                written.push(format!("the {word} {name} of the month"));
            }
        };
        count(some.nth, ORDINALS);
        count(some.nth_from_end, FROM_END);
    }
    written.extend(some.modulo.iter().map(|modulo| {
        let name = WEEKDAYS[usize::from(modulo.weekday)];
        format!(
            "{name} where the week's number modulo {} is {}",
            modulo.divisor, modulo.remainder
        )
    }));
    join(written)
}

/// `minutes 0, 5 to 9 and 30`, or `every 2nd hour`.
fn unit(name: &str, bits: u64, every: u64) -> String {
    if bits == every {
        return format!("every {name}");
    }
    let plural = if bits.count_ones() > 1 { "s" } else { "" };
    format!(
        "{name}{plural} {}",
        join(spans(bits, |value| value.to_string()))
    )
}

/// The step of an even spread over the hour.
fn interval(bits: u64) -> Option<u32> {
    let step = 60 / bits.count_ones();
    let even = (0..60)
        .step_by(step as usize)
        .fold(0, |bits, bit| bits | 1_u64 << bit);
    (step < 60 && 60 % bits.count_ones() == 0 && bits == even).then_some(step)
}

fn each(bits: u64) -> impl Iterator<Item = u32> + Clone {
    (0..64).filter(move |bit| bits >> bit & 1 == 1)
}

/// Values in a row as `a to b`.
fn spans(bits: u64, name: impl Fn(u32) -> String) -> Vec<String> {
    runs(bits)
        .flat_map(|(first, last)| match last - first {
            0 => vec![name(first)],
            1 => vec![name(first), name(last)],
            _ => vec![format!("{} to {}", name(first), name(last))],
        })
        .collect()
}

fn join(mut written: Vec<String>) -> String {
    let last = written.pop().unwrap_or_default();
    if written.is_empty() {
        last
    } else {
        format!("{} and {last}", written.join(", "))
    }
}
