//! The filter mode: a question a line, an answer a line.

use std::io::{self, BufRead, BufWriter, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stillpoint_schedule::{Cron, Zone};

#[derive(Deserialize)]
struct Question {
    expr: String,
    #[serde(default)]
    tz: Option<String>,
    from: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Error(String),
    Next(Vec<Timestamp>),
}

pub(crate) fn run(input: impl BufRead, output: impl Write, count: usize) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    for line in input.split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = answer(&line, count).map_or_else(Answer::Error, Answer::Next);
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

fn answer(line: &[u8], count: usize) -> Result<Vec<Timestamp>, String> {
    let question: Question = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut cron = Cron::parse(&question.expr).map_err(|error| error.to_string())?;
    if let (None, Some(tz)) = (cron.zone(), &question.tz) {
        let zone = Zone::named(tz).map_err(|error| error.to_string())?;
        cron = cron.in_zone(zone);
    }
    let mut next = Vec::new();
    let mut after = question.from;
    while next.len() < count {
        match cron.next_after(after) {
            Ok(run) => after = run.at,
            Err(error) if next.is_empty() => return Err(error.to_string()),
            // The end of time: those before it are an answer.
            Err(_) => break,
        }
        next.push(after);
    }
    Ok(next)
}
