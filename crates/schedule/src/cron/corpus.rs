//! The corpora of `testdata/cron`, every line of them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Cron, Zone,
    civil::days_in,
    cron::{
        days::{Days, Modulo},
        fields::{EVERY_60, EVERY_HOUR, EVERY_MONTH, Fields},
    },
};

/// Accepted by fugit, refused here on purpose; `GRAMMAR.md` says why.
const REFUSED: [&str; 2] = ["0 0 * * * GMT+2", "* * * * mon%0"];
/// Refused by fugit, accepted here on purpose.
const EXTENSIONS: [&str; 1] = ["50 8 31 2 mon,wed"];

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

#[test]
fn the_next_five_instants_are_fugits() {
    let mut compared = 0;
    for line in lines(include_str!("../../testdata/cron/cron-corpus.jsonl")) {
        if line["fugit_quirk"].is_null() && line["dst_sensitive"] == false {
            assert_next(&line);
            compared += 1;
        }
    }
    assert_eq!(compared, 1451);
}

#[test]
fn the_next_five_instants_are_those_of_the_backup_policy() {
    let mut compared = 0;
    for line in lines(include_str!(
        "../../testdata/cron/cron-corpus-backup-policy.jsonl"
    )) {
        assert_next(&line);
        compared += 1;
    }
    assert_eq!(compared, 1489);
}

fn assert_next(line: &Value) {
    let mut cron = Cron::parse(line["expr"].as_str().unwrap()).unwrap();
    if cron.zone().is_none() {
        cron = cron.in_zone(Zone::named(line["tz"].as_str().unwrap()).unwrap());
    }
    let from: Timestamp = line["from"].as_str().unwrap().parse().unwrap();
    let expected: Vec<Timestamp> = line["next"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at.as_str().unwrap().parse().unwrap())
        .collect();
    let runs: Vec<Timestamp> = cron
        .runs_after(from)
        .take(expected.len())
        .map(|run| run.at)
        .collect();
    assert_eq!(runs, expected, "{line}");

    // And back again: from the last of them, the same runs in reverse.
    let mut before = *expected.last().unwrap();
    for at in expected.iter().rev().skip(1) {
        before = cron.prev_before(before).unwrap().at;
        assert_eq!(before, *at, "{line}, backwards");
    }
}

#[test]
fn the_fields_are_fugits() {
    let mut compared = 0;
    let corpus = lines(include_str!("../../testdata/cron/cron-corpus.jsonl"));
    let edge = lines(include_str!("../../testdata/cron/cron-edge-accepted.jsonl"));
    for line in corpus.chain(edge) {
        let expression = line["expr"].as_str().unwrap();
        if REFUSED.contains(&expression) {
            Cron::parse(expression).expect_err(expression);
            continue;
        }
        // Four of the quirks are in the evaluator, and leave the fields as they should be.
        let quirk = line["fugit_quirk"].as_str().unwrap_or_default();
        if !quirk.is_empty() && !quirk.starts_with("fugit next_time") {
            continue;
        }
        let mut fields = fields_of(&possible(Cron::parse(expression).unwrap().fields));
        let expected = line["fields"].as_object().unwrap();
        if !expected.contains_key("and") {
            fields.as_object_mut().unwrap().remove("and");
        }
        assert_eq!(fields, line["fields"], "{expression}");
        compared += 1;
    }
    assert_eq!(compared, 1584);
}

/// Without the days that none of the months has, and the months that have none of the days: fugit
/// leaves them out when it parses.
fn possible(mut fields: Fields) -> Fields {
    // Nothing is left out beside days from the end, nor where any month will do.
    let Days {
        any_of_month,
        from_end,
        ..
    } = fields.days;
    if any_of_month || from_end != 0 || fields.months == EVERY_MONTH {
        return fields;
    }
    let days = &mut fields.days.from_start;
    let exist = |month: u32| u32::MAX >> (31 - days_in(2000, month));
    let months = (1..=12).filter(|month| fields.months >> month & 1 == 1);
    *days &= months.clone().fold(0, |any, month| any | exist(month));
    fields.months = months
        .filter(|month| *days & exist(*month) != 0)
        .fold(0, |any, month| any | 1 << month);
    fields
}

/// The fields in the form of the corpus.
fn fields_of(fields: &Fields) -> Value {
    let bits = |bits: u64, every: u64| {
        if bits == every {
            Value::Null
        } else {
            json!(
                (0..64)
                    .filter(|bit| bits >> bit & 1 == 1)
                    .collect::<Vec<_>>()
            )
        }
    };
    let Days {
        from_start,
        from_end,
        every_week,
        some_weeks,
        ..
    } = &fields.days;
    let of_month = (!fields.days.any_of_month).then(|| {
        let last = (1..=31)
            .rev()
            .filter(|day| from_end >> day & 1 == 1)
            .map(|day| -day);
        last.chain((1..=31).filter(|day| from_start >> day & 1 == 1))
            .collect::<Vec<i32>>()
    });
    let of_week = (!fields.days.any_of_week).then(|| {
        let mut days = Vec::new();
        for day in 0..7_u8 {
            if every_week >> day & 1 == 1 {
                days.push(json!([day]));
            }
            let Some(some) = some_weeks else { continue };
            let on = |weeks: [u8; 5]| (1..=5).filter(move |n| weeks[n - 1] >> day & 1 == 1);
            days.extend(
                on(some.nth_from_end)
                    .rev()
                    .map(|n| json!([day, -(n as i32)])),
            );
            days.extend(on(some.nth).map(|n| json!([day, n])));
            let modulo = some.modulo.iter().filter(|modulo| modulo.weekday == day);
            days.extend(modulo.map(
                |Modulo {
                     divisor, remainder, ..
                 }| json!([day, [divisor, remainder]]),
            ));
        }
        days
    });
    json!({
        "seconds": bits(fields.seconds, EVERY_60),
        "minutes": bits(fields.minutes, EVERY_60),
        "hours": bits(fields.hours.into(), EVERY_HOUR.into()),
        "monthdays": of_month,
        "months": bits(fields.months.into(), EVERY_MONTH.into()),
        "weekdays": of_week,
        "and": fields.days.both,
    })
}

#[test]
fn every_invalid_line_is_refused_with_column_and_reason() {
    let mut refused = 0;
    for line in lines(include_str!("../../testdata/cron/cron-invalid.jsonl")) {
        let expression = line["expr"].as_str().unwrap();
        match Cron::parse(expression) {
            Ok(_) => assert!(
                EXTENSIONS.contains(&expression),
                "{expression} was accepted"
            ),
            Err(error) => {
                assert!(
                    (1..=expression.chars().count() + 1).contains(&error.column),
                    "{expression}: {error}"
                );
                assert!(!error.reason.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 102);
}

#[test]
fn the_canonical_text_is_the_same_expression() {
    let corpus = lines(include_str!("../../testdata/cron/cron-corpus.jsonl"));
    let edge = lines(include_str!("../../testdata/cron/cron-edge-accepted.jsonl"));
    for line in corpus.chain(edge) {
        let Ok(cron) = Cron::parse(line["expr"].as_str().unwrap()) else {
            continue;
        };
        let text = cron.to_string();
        let again = Cron::parse(&text).unwrap_or_else(|error| panic!("{line}: {text}: {error}"));
        assert_eq!(again, cron, "{line}: {text}");
        assert_eq!(again.to_string(), text);
    }
}
