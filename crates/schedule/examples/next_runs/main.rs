//! When does it run next?
//!
//! ```text
//! cargo run --release --example next_runs -- '0 2 * * mon-fri Europe/Berlin'
//! cargo run --release --example next_runs -- -n 20 --tz Europe/Berlin --from 2026-03-01T00:00:00Z crontab.txt
//! echo '{"expr":"0 7 * * *","tz":"UTC","from":"2025-12-31T12:00:00Z"}' |
//!     cargo run --release --example next_runs -- --json -n 5
//! ```
//!
//! A file has an expression a line, with `#` comments and empty lines. The filter mode, `--json`, reads
//! such lines as above from standard input and answers each with a line:
//! `{"next":["2026-01-01T07:00:00Z"]}` in UTC, or `{"error":"..."}`.

mod calendar;
mod filter;

use std::{io, path::Path, process::ExitCode};

use jiff::Timestamp;
use stillpoint_schedule::{Cron, Schedule, Zone};

const USAGE: &str = "usage: next_runs [-n COUNT] [--from INSTANT] [--tz ZONE] EXPRESSION|FILE
       next_runs --json [-n COUNT] < LINES";

struct Options {
    count: Option<usize>,
    from: Timestamp,
    zone: Zone,
    json: bool,
    what: Option<String>,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("next_runs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        count: None,
        from: Timestamp::now(),
        zone: Zone::UTC,
        json: false,
        what: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("{argument} needs a value\n{USAGE}"))
        };
        match argument.as_str() {
            "-n" => {
                options.count = Some(value()?.parse().map_err(|error| format!("-n: {error}"))?);
            }
            "--from" => {
                options.from = value()?
                    .parse()
                    .map_err(|error| format!("--from: {error}"))?;
            }
            "--tz" => options.zone = Zone::named(&value()?).map_err(|error| error.to_string())?,
            "--json" => options.json = true,
            "-h" | "--help" => return Err(USAGE.to_owned()),
            _ if options.what.is_none() => options.what = Some(argument),
            _ => {
                return Err(format!(
                    "unexpected {argument:?}; quote the expression\n{USAGE}"
                ));
            }
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    let output = io::stdout().lock();
    let written = if options.json {
        filter::run(io::stdin().lock(), output, options.count.unwrap_or(5))
    } else {
        let what = options.what.as_ref().ok_or(USAGE)?;
        let schedules = schedules(what, &options.zone)?;
        calendar::print(
            output,
            &schedules,
            options.from,
            options.count.unwrap_or(10),
        )
    };
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| error.to_string()),
    }
}

/// The expression, or those in the file of that name.
fn schedules(what: &str, zone: &Zone) -> Result<Vec<(String, Schedule)>, String> {
    let text = if Path::new(what).is_file() {
        std::fs::read_to_string(what).map_err(|error| format!("{what}: {error}"))?
    } else {
        what.to_owned()
    };
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let cron = Cron::parse(line)
                .map_err(|error| format!("line {}: {line}: {error}", index + 1))?;
            Ok((line.to_owned(), Schedule::cron(cron).in_zone(zone.clone())))
        })
        .collect()
}
