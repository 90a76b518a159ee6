//! Days on which clocks changed, worked out by hand from the announcements.

use jiff::Timestamp;
use stillpoint_schedule::{Cron, Reason, Reason::*};

/// The runs of an expression from an instant on: instants, times on the wall, reasons.
fn assert_runs(expression: &str, from: &str, expected: &[(&str, &str, Reason)]) {
    let cron = Cron::parse(expression).unwrap();
    let from: Timestamp = from.parse().unwrap();
    let runs: Vec<_> = cron
        .runs_after(from)
        .take(expected.len())
        .map(|run| (run.at.to_string(), run.wall.to_string(), run.reason))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(at, wall, reason)| (format!("{at}Z"), wall.to_string(), *reason))
        .collect();
    assert_eq!(runs, expected, "{expression}");
}

#[test]
fn berlin() {
    assert_runs(
        "30 2 * * * Europe/Berlin",
        "2025-03-29T00:00:00Z",
        &[
            ("2025-03-29T01:30:00", "2025-03-29T02:30:00", Normal),
            ("2025-03-30T01:00:00", "2025-03-30T02:30:00", GapShifted),
            ("2025-03-31T00:30:00", "2025-03-31T02:30:00", Normal),
        ],
    );
    assert_runs(
        "15,45 2 * * * Europe/Berlin",
        "2025-03-30T00:00:00Z",
        &[
            ("2025-03-30T01:00:00", "2025-03-30T02:15:00", GapShifted),
            ("2025-03-31T00:15:00", "2025-03-31T02:15:00", Normal),
        ],
    );
    assert_runs(
        "30 2 * * * Europe/Berlin",
        "2025-10-25T12:00:00Z",
        &[
            ("2025-10-26T00:30:00", "2025-10-26T02:30:00", FoldFirst),
            ("2025-10-27T01:30:00", "2025-10-27T02:30:00", Normal),
        ],
    );
    // Asked within the second pass: the first one counted, whoever asks.
    assert_runs(
        "30 2 * * * Europe/Berlin",
        "2025-10-26T01:10:00Z",
        &[("2025-10-27T01:30:00", "2025-10-27T02:30:00", Normal)],
    );
    assert_runs(
        "0 * * * * Europe/Berlin",
        "2025-10-25T23:30:00Z",
        &[
            ("2025-10-26T00:00:00", "2025-10-26T02:00:00", FoldFirst),
            ("2025-10-26T01:00:00", "2025-10-26T02:00:00", FoldSecond),
            ("2025-10-26T02:00:00", "2025-10-26T03:00:00", Normal),
        ],
    );
}

#[test]
fn lord_howe_changes_by_half_an_hour() {
    assert_runs(
        "15 2 * * * Australia/Lord_Howe",
        "2024-10-05T00:00:00Z",
        &[
            ("2024-10-05T15:30:00", "2024-10-06T02:15:00", GapShifted),
            ("2024-10-06T15:15:00", "2024-10-07T02:15:00", Normal),
        ],
    );
    assert_runs(
        "0,30 2 * * * Australia/Lord_Howe",
        "2024-10-05T00:00:00Z",
        &[
            ("2024-10-05T15:30:00", "2024-10-06T02:30:00", GapCoalesced),
            ("2024-10-06T15:00:00", "2024-10-07T02:00:00", Normal),
        ],
    );
    assert_runs(
        "45 1 * * * Australia/Lord_Howe",
        "2025-04-05T00:00:00Z",
        &[
            ("2025-04-05T14:45:00", "2025-04-06T01:45:00", FoldFirst),
            ("2025-04-06T15:15:00", "2025-04-07T01:45:00", Normal),
        ],
    );
    assert_runs(
        "*/15 * * * * Australia/Lord_Howe",
        "2025-04-05T14:35:00Z",
        &[
            ("2025-04-05T14:45:00", "2025-04-06T01:45:00", FoldFirst),
            ("2025-04-05T15:00:00", "2025-04-06T01:30:00", FoldSecond),
            ("2025-04-05T15:15:00", "2025-04-06T01:45:00", FoldSecond),
            ("2025-04-05T15:30:00", "2025-04-06T02:00:00", Normal),
        ],
    );
}

#[test]
fn casablanca_goes_back_for_ramadan() {
    assert_runs(
        "30 2 * * * Africa/Casablanca",
        "2024-03-09T12:00:00Z",
        &[
            ("2024-03-10T01:30:00", "2024-03-10T02:30:00", FoldFirst),
            ("2024-03-11T02:30:00", "2024-03-11T02:30:00", Normal),
        ],
    );
    assert_runs(
        "30 2 * * * Africa/Casablanca",
        "2024-04-13T12:00:00Z",
        &[
            ("2024-04-14T02:00:00", "2024-04-14T02:30:00", GapShifted),
            ("2024-04-15T01:30:00", "2024-04-15T02:30:00", Normal),
        ],
    );
}

#[test]
fn apia_had_no_30_december_2011() {
    assert_runs(
        "0 7 * * * Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &[
            ("2011-12-29T17:00:00", "2011-12-29T07:00:00", Normal),
            ("2011-12-30T10:00:00", "2011-12-30T07:00:00", GapShifted),
            ("2011-12-30T17:00:00", "2011-12-31T07:00:00", Normal),
        ],
    );
    assert_runs(
        "0 0 * * * Pacific/Apia",
        "2011-12-29T00:00:00Z",
        &[
            ("2011-12-29T10:00:00", "2011-12-29T00:00:00", Normal),
            ("2011-12-30T10:00:00", "2011-12-31T00:00:00", GapCoalesced),
            ("2011-12-31T10:00:00", "2012-01-01T00:00:00", Normal),
        ],
    );
    // Every six hours of every day: the four of the missing day become one, at midnight.
    assert_runs(
        "0 */6 30,31 12 * Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &[
            ("2011-12-30T10:00:00", "2011-12-31T00:00:00", GapCoalesced),
            ("2011-12-30T16:00:00", "2011-12-31T06:00:00", Normal),
        ],
    );
}

#[test]
fn sao_paulo_changes_at_midnight() {
    assert_runs(
        "0 0 * * * America/Sao_Paulo",
        "2018-11-03T00:00:00Z",
        &[
            ("2018-11-03T03:00:00", "2018-11-03T00:00:00", Normal),
            ("2018-11-04T03:00:00", "2018-11-04T00:00:00", GapShifted),
            ("2018-11-05T02:00:00", "2018-11-05T00:00:00", Normal),
        ],
    );
    assert_runs(
        "5 * * * sun America/Sao_Paulo",
        "2018-11-04T00:00:00Z",
        &[("2018-11-04T03:05:00", "2018-11-04T01:05:00", Normal)],
    );
    assert_runs(
        "30 23 * * * America/Sao_Paulo",
        "2018-02-17T12:00:00Z",
        &[
            ("2018-02-18T01:30:00", "2018-02-17T23:30:00", FoldFirst),
            ("2018-02-19T02:30:00", "2018-02-18T23:30:00", Normal),
        ],
    );
}

#[test]
fn tehran_changes_at_midnight() {
    assert_runs(
        "0 0 * * * Asia/Tehran",
        "2022-03-21T12:00:00Z",
        &[
            ("2022-03-21T20:30:00", "2022-03-22T00:00:00", GapShifted),
            ("2022-03-22T19:30:00", "2022-03-23T00:00:00", Normal),
        ],
    );
    assert_runs(
        "15 23 * * * Asia/Tehran",
        "2022-09-21T12:00:00Z",
        &[
            ("2022-09-21T18:45:00", "2022-09-21T23:15:00", FoldFirst),
            ("2022-09-22T19:45:00", "2022-09-22T23:15:00", Normal),
        ],
    );
}

#[test]
fn havana_repeats_the_first_hour_of_the_day() {
    assert_runs(
        "0 0 * * * America/Havana",
        "2024-03-09T12:00:00Z",
        &[
            ("2024-03-10T05:00:00", "2024-03-10T00:00:00", GapShifted),
            ("2024-03-11T04:00:00", "2024-03-11T00:00:00", Normal),
        ],
    );
    assert_runs(
        "30 0 * * * America/Havana",
        "2024-11-02T12:00:00Z",
        &[
            ("2024-11-03T04:30:00", "2024-11-03T00:30:00", FoldFirst),
            ("2024-11-04T05:30:00", "2024-11-04T00:30:00", Normal),
        ],
    );
    // In 2026 the clocks stayed as they were.
    assert_runs(
        "30 0 * * * America/Havana",
        "2026-10-31T12:00:00Z",
        &[
            ("2026-11-01T04:30:00", "2026-11-01T00:30:00", Normal),
            ("2026-11-02T04:30:00", "2026-11-02T00:30:00", Normal),
        ],
    );
}
