//! A calendar for the terminal: the months with their days of runs, then the runs, with marks.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use jiff::{Timestamp, civil::Date};
use stillpoint_schedule::{
    Reason, Schedule,
    preview::{Planned, Upcoming, preview},
    schedule::When,
};

pub(crate) fn print(
    mut output: impl Write,
    schedules: &[(String, Schedule)],
    from: Timestamp,
    count: usize,
) -> io::Result<()> {
    for (line, schedule) in schedules {
        writeln!(output, "{line}")?;
        if let When::Cron(cron) = schedule.when() {
            writeln!(output, "  {}", cron.describe())?;
        }
    }
    let planned: Vec<_> = schedules
        .iter()
        .map(|(name, schedule)| Planned {
            name,
            schedule,
            takes: None,
        })
        .collect();
    let upcoming = preview(&planned, from, count);
    if upcoming.is_empty() {
        return writeln!(output, "\nnever");
    }
    let mut days: BTreeMap<Date, char> = BTreeMap::new();
    for one in &upcoming {
        let mark = days.entry(one.run.wall.date()).or_insert('*');
        if one.run.reason != Reason::Normal {
            *mark = '!';
        }
    }
    let mut months: Vec<Date> = days.keys().map(|date| date.first_of_month()).collect();
    months.dedup();
    for row in months.chunks(3) {
        writeln!(output)?;
        print_months(&mut output, row, &days)?;
    }
    writeln!(output)?;
    upcoming
        .iter()
        .try_for_each(|one| print_run(&mut output, one, schedules))
}

/// Up to three months side by side, weeks from Monday.
fn print_months(
    output: &mut impl Write,
    months: &[Date],
    days: &BTreeMap<Date, char>,
) -> io::Result<()> {
    let titles = months
        .iter()
        .map(|month| format!("{:^28}", month.strftime("%B %Y").to_string()));
    writeln!(
        output,
        "{}",
        titles.collect::<Vec<_>>().join("  ").trim_end()
    )?;
    let header = [" Mo  Tu  We  Th  Fr  Sa  Su "; 3];
    writeln!(output, "{}", header[..months.len()].join("  ").trim_end())?;
    for week in 0..6 {
        let row: Vec<_> = months
            .iter()
            .map(|month| self::week(*month, week, days))
            .collect();
        let row = row.join("  ");
        if !row.trim().is_empty() {
            writeln!(output, "{}", row.trim_end())?;
        }
    }
    Ok(())
}

fn week(month: Date, week: i8, days: &BTreeMap<Date, char>) -> String {
    let offset = month.weekday().to_monday_zero_offset();
    (0..7)
        .map(|column| {
            let day = week * 7 + column - offset + 1;
            match Date::new(month.year(), month.month(), day) {
                Ok(date) => format!("{day:>3}{}", days.get(&date).unwrap_or(&' ')),
                Err(_) => "    ".to_owned(),
            }
        })
        .collect()
}

fn print_run(
    output: &mut impl Write,
    one: &Upcoming,
    schedules: &[(String, Schedule)],
) -> io::Result<()> {
    let zone = schedules
        .iter()
        .find(|(name, _)| *name == one.schedule)
        .map(|(_, schedule)| schedule.zone());
    let zone = zone.map_or_else(String::new, ToString::to_string);
    let mark = match one.run.reason {
        Reason::FoldFirst => "  ! the clock goes back: first pass",
        Reason::FoldSecond => "  ! the clock goes back: second pass",
        Reason::GapCoalesced => {
            "  ! the clock goes forward: stands for the runs that were left out"
        }
        Reason::GapShifted => "  ! the clock goes forward: moved out of the gap",
        _ => "",
    };
    let name = if schedules.len() > 1 {
        format!("  {}", one.schedule)
    } else {
        String::new()
    };
    writeln!(
        output,
        "{}  {} {zone}{name}{mark}",
        one.run.at,
        one.run.wall.strftime("%a %F %T"),
    )
}
