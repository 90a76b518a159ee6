//! The search ends: far ahead, at the ends of time, and where nothing ever matches.

use jiff::{SignedDuration, Timestamp};
use stillpoint_schedule::{
    Cron, SearchError,
    cron::{Dialect, ParseErrorReason},
};

fn next(expression: &str, from: &str) -> Result<String, SearchError> {
    let run = Cron::parse(expression)
        .unwrap()
        .next_after(from.parse().unwrap())?;
    Ok(run.at.to_string())
}

#[test]
fn leap_days_skip_the_year_2100() {
    assert_eq!(
        next("0 0 29 2 *", "2096-03-01T00:00:00Z").unwrap(),
        "2104-02-29T00:00:00Z"
    );
    // A Monday the 29th of February: forty years apart, over 2100.
    assert_eq!(
        next("0 0 29& 2 mon", "2072-03-01T00:00:00Z").unwrap(),
        "2112-02-29T00:00:00Z"
    );
    let cron = Cron::parse("0 0 29 2 *").unwrap();
    let before = cron
        .prev_before("2104-02-29T00:00:00Z".parse().unwrap())
        .unwrap();
    assert_eq!(before.at.to_string(), "2096-02-29T00:00:00Z");
}

#[test]
fn what_never_fires_is_refused_when_it_is_parsed() {
    for expression in [
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 -31 feb *",
        "0 0 31& 4 mon",
        "0 0 13& * fri#1",
        "0 0 29& 2 mon#1",
    ] {
        let error = Cron::parse(expression).unwrap_err();
        assert_eq!(
            (error.column, error.reason),
            (5, ParseErrorReason::NeverFires),
            "{expression}"
        );
    }
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    Cron::parse("0 0 31 4 mon").unwrap();
    Cron::parse_with("0 0 31 4 mon", Dialect::Rufus2, &zones).unwrap_err();
}

#[test]
fn a_remainder_that_never_comes_is_found_by_the_search() {
    // The 29th of February is a Monday thirteen times in 400 years, never in such a week.
    assert_eq!(
        next("0 0 29& 2 mon%999+1", "2026-01-01T00:00:00Z"),
        Err(SearchError::NeverFires)
    );
    let cron = Cron::parse("0 0 29& 2 mon%999+1").unwrap();
    let before = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(cron.prev_before(before), Err(SearchError::NeverFires));
    assert_eq!(cron.runs_after(before).next(), None);
}

#[test]
fn the_ends_of_time_are_errors() {
    let cron = Cron::parse("0 7 * * * Pacific/Apia").unwrap();
    assert_eq!(cron.next_after(Timestamp::MAX), Err(SearchError::EndOfTime));
    assert_eq!(
        cron.prev_before(Timestamp::MIN),
        Err(SearchError::EndOfTime)
    );
    let last = cron.prev_before(Timestamp::MAX).unwrap();
    assert_eq!(last.wall.to_string(), "9999-12-31T07:00:00");
    let first = cron.next_after(Timestamp::MIN).unwrap();
    assert!(first.at > Timestamp::MIN);
    assert_eq!(
        cron.runs_after(last.at - SignedDuration::from_hours(1))
            .count(),
        1
    );
    assert_eq!(
        next("0 0 29 2 *", "9996-03-01T00:00:00Z"),
        Err(SearchError::EndOfTime)
    );
}

#[test]
fn instants_between_seconds_belong_to_the_second_they_are_in() {
    let cron = Cron::parse("* * * * * *").unwrap();
    for (at, next, previous) in [
        (
            "2026-01-01T00:00:00.5Z",
            "2026-01-01T00:00:01Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01Z",
            "2025-12-31T23:59:59Z",
        ),
        (
            "1969-12-31T23:59:58.5Z",
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:58Z",
        ),
        (
            "1969-12-31T23:59:58Z",
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:57Z",
        ),
    ] {
        let at = at.parse().unwrap();
        assert_eq!(cron.next_after(at).unwrap().at.to_string(), next);
        assert_eq!(cron.prev_before(at).unwrap().at.to_string(), previous);
    }
}
