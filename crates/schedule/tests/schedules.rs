//! Weekly, monthly, once; zones, windows, blackouts, pauses; and what is refused.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Weekday, date, time},
};
use stillpoint_schedule::{
    Cron, Reason, Run, Schedule, ScheduleError, Timeline,
    policy::{Jitter, Missed},
    schedule::{MonthDay, Pause},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn walls(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    schedule
        .runs_after(at(from))
        .take(count)
        .map(|run| run.wall.strftime("%F %R").to_string())
        .collect()
}

fn nightly() -> Schedule {
    Schedule::cron(Cron::parse("0 2 * * *").unwrap())
}

#[test]
fn weekly() {
    let schedule =
        Schedule::weekly([Weekday::Sunday, Weekday::Wednesday], time(3, 15, 0, 0)).unwrap();
    assert_eq!(
        walls(&schedule, "2026-01-01T00:00:00Z", 3),
        ["2026-01-04 03:15", "2026-01-07 03:15", "2026-01-11 03:15"]
    );
}

#[test]
fn monthly_leaves_no_month_out() {
    let schedule = Schedule::monthly(MonthDay::new(31).unwrap(), time(0, 0, 0, 0)).unwrap();
    assert_eq!(
        walls(&schedule, "2028-01-01T00:00:00Z", 4),
        [
            "2028-01-31 00:00",
            "2028-02-29 00:00",
            "2028-03-31 00:00",
            "2028-04-30 00:00"
        ]
    );
    let last = Schedule::monthly(MonthDay::LAST, time(0, 0, 0, 0)).unwrap();
    assert_eq!(
        walls(&last, "2027-01-01T00:00:00Z", 12),
        walls(&schedule, "2027-01-01T00:00:00Z", 12)
    );
    let schedule = Schedule::monthly(MonthDay::new(29).unwrap(), time(0, 0, 0, 0)).unwrap();
    assert_eq!(
        walls(&schedule, "2027-02-01T00:00:00Z", 2),
        ["2027-02-28 00:00", "2027-03-29 00:00"]
    );
    let before = schedule
        .prev_before(at("2027-03-01T00:00:00Z"))
        .unwrap()
        .unwrap();
    assert_eq!(before.wall, date(2027, 2, 28).at(0, 0, 0, 0));
}

#[test]
fn once_is_once_and_moves_out_of_a_gap() {
    let schedule = Schedule::once(date(2026, 3, 29).at(2, 30, 0, 0))
        .unwrap()
        .tz("Europe/Berlin")
        .unwrap();
    let run = schedule
        .next_after(at("2026-01-01T00:00:00Z"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (run.at, run.reason),
        (at("2026-03-29T01:00:00Z"), Reason::GapShifted)
    );
    assert_eq!(schedule.next_after(run.at).unwrap(), None);
    assert_eq!(schedule.prev_before(run.at).unwrap(), None);
    let mut timeline = Timeline::new();
    timeline
        .insert("once", schedule, at("2026-01-01T00:00:00Z"))
        .unwrap();
    assert!(timeline.pop(run.at).is_some());
    assert_eq!((timeline.wake_at(), timeline.len()), (None, 1));
}

#[test]
fn the_zone_of_an_expression_wins() {
    let inside = Schedule::cron(Cron::parse("0 2 * * * Asia/Tokyo").unwrap())
        .tz("Europe/Berlin")
        .unwrap();
    let around = nightly().tz("Europe/Berlin").unwrap();
    assert_eq!(
        inside
            .next_after(at("2026-01-01T00:00:00Z"))
            .unwrap()
            .unwrap()
            .at,
        at("2026-01-01T17:00:00Z")
    );
    assert_eq!(
        around
            .next_after(at("2026-01-01T00:00:00Z"))
            .unwrap()
            .unwrap()
            .at,
        at("2026-01-01T01:00:00Z")
    );
}

#[test]
fn nothing_runs_outside_its_window() {
    let (from, until) = (at("2026-01-02T02:00:00Z"), at("2026-01-04T02:00:00Z"));
    let schedule = nightly().between(Some(from), Some(until)).unwrap();
    assert_eq!(
        walls(&schedule, "2025-01-01T00:00:00Z", 9),
        ["2026-01-02 02:00", "2026-01-03 02:00"]
    );
    assert_eq!(
        schedule
            .prev_before(at("2030-01-01T00:00:00Z"))
            .unwrap()
            .unwrap()
            .at,
        at("2026-01-03T02:00:00Z")
    );
    assert_eq!(schedule.prev_before(from).unwrap(), None);
    let empty = nightly().between(Some(until), Some(until)).unwrap_err();
    assert!(matches!(empty, ScheduleError::Window { .. }));
}

#[test]
fn nothing_runs_on_a_blackout_day_of_the_wall() {
    let schedule = nightly()
        .tz("Pacific/Apia")
        .unwrap()
        .blackout(date(2011, 12, 28), date(2011, 12, 30))
        .unwrap();
    // The run of the day that did not exist belongs to that day, though it would fall on the next.
    assert_eq!(
        walls(&schedule, "2011-12-26T00:00:00Z", 3),
        ["2011-12-26 02:00", "2011-12-27 02:00", "2011-12-31 02:00"]
    );
    let before = schedule
        .prev_before(at("2011-12-30T11:00:00Z"))
        .unwrap()
        .unwrap();
    assert_eq!(before.wall, date(2011, 12, 27).at(2, 0, 0, 0));
    // A year of every second is passed over at once.
    let second = Schedule::cron(Cron::parse("* * * * * *").unwrap());
    let schedule = second
        .blackout(date(2026, 1, 1), date(2026, 12, 31))
        .unwrap();
    assert_eq!(
        schedule
            .next_after(at("2026-01-01T00:00:00Z"))
            .unwrap()
            .unwrap()
            .at,
        at("2027-01-01T00:00:00Z")
    );
    assert_eq!(
        schedule
            .prev_before(at("2027-01-01T00:00:00Z"))
            .unwrap()
            .unwrap()
            .at,
        at("2025-12-31T23:59:59Z")
    );
    let error = nightly()
        .blackout(date(2026, 1, 2), date(2026, 1, 1))
        .unwrap_err();
    assert!(matches!(error, ScheduleError::Blackout { .. }));
}

#[test]
fn a_pause_is_no_outage() {
    let paused = nightly().pause(Pause::Indefinitely);
    assert_eq!(paused.next_after(at("2026-01-01T00:00:00Z")).unwrap(), None);
    let mut timeline = Timeline::new();
    timeline
        .insert("s", paused.clone(), at("2026-01-01T00:00:00Z"))
        .unwrap();
    assert_eq!(timeline.pop(at("2026-01-05T00:00:00Z")), None);
    timeline
        .insert("s", paused.resume(), at("2026-01-05T00:00:00Z"))
        .unwrap();
    let firing = timeline.pop(at("2026-01-05T02:00:00Z")).unwrap();
    assert_eq!((firing.due.runs.len(), firing.due.missed), (1, None));

    let until = nightly().pause(Pause::Until(at("2026-01-03T02:00:00Z")));
    assert_eq!(
        walls(&until, "2026-01-01T00:00:00Z", 1),
        ["2026-01-03 02:00"]
    );
    let due = until
        .on_missed(Missed::All { at_most: 9 })
        .due(at("2026-01-01T00:00:00Z"), at("2026-01-04T12:00:00Z"));
    assert_eq!(due.unwrap().runs.len(), 2);
}

#[test]
fn jitter_is_within_its_bounds_and_stays_the_same() {
    let at_most = SignedDuration::from_mins(10);
    let run = nightly()
        .next_after(at("2026-01-01T00:00:00Z"))
        .unwrap()
        .unwrap();
    let next = nightly().next_after(run.at).unwrap().unwrap();
    let (stable, random) = (
        Jitter::PerResource { at_most },
        Jitter::Random { at_most, seed: 7 },
    );
    let (mut same, mut sum) = (0, SignedDuration::ZERO);
    for resource in (0..1000).map(|n| format!("web-{n}")) {
        let delay = stable.delay(&run.key("s"), &resource);
        assert!(delay >= SignedDuration::ZERO && delay < at_most);
        assert_eq!(stable.delay(&next.key("s"), &resource), delay);
        let again = random.delay(&run.key("s"), &resource);
        assert_eq!(random.delay(&run.key("s"), &resource), again);
        same += usize::from(random.delay(&next.key("s"), &resource) == again);
        sum += delay;
    }
    assert!(
        same < 5 && (280..320).contains(&(sum.as_secs() / 1000)),
        "{same} {sum}"
    );
    assert_eq!(Jitter::None.start(run.at, &run.key("s"), "web-1"), run.at);
    assert_eq!(
        stable.start(Timestamp::MAX, &run.key("s"), "web-1"),
        Timestamp::MAX
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let noon = time(12, 0, 0, 0);
    assert_eq!(
        Schedule::weekly([], noon).unwrap_err(),
        ScheduleError::NoDays
    );
    assert_eq!(
        MonthDay::new(32).unwrap_err(),
        ScheduleError::DayOfMonth { day: 32 }
    );
    assert_eq!(nightly().with_limit(0).unwrap_err(), ScheduleError::NoRuns);
    let fraction = time(12, 0, 0, 1);
    assert!(matches!(
        Schedule::weekly([Weekday::Monday], fraction),
        Err(ScheduleError::Subsecond { .. })
    ));
    let negative = SignedDuration::from_secs(-1);
    assert!(matches!(
        nightly().with_grace(negative),
        Err(ScheduleError::Negative { .. })
    ));
    for text in [
        r#"{"when": {"cron": "0 2 * * *"}, "overlaps": "skip"}"#,
        r#"{"when": {"cron": "0 2 30 2 *"}}"#,
        r#"{"when": {"cron": "0 2 * * *"}, "zone": "GMT+2"}"#,
        r#"{"when": {"cron": "0 2 * * *"}, "limit": 0}"#,
        r#"{"when": {"weekly": {"days": [], "time": "02:00:00"}}}"#,
        r#"{"when": {"weekly": {"days": ["monday"], "time": "02:00:00"}}}"#,
        r#"{"when": {"monthly": {"day": 0, "time": "02:00:00"}}}"#,
        r#"{"when": {"once": "2026-01-01T00:00:00"}, "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}"#,
    ] {
        serde_json::from_str::<Schedule>(text).expect_err(text);
    }
}

#[test]
fn a_zone_whose_rules_changed_is_an_error_that_says_so() {
    let schedule = nightly().tz("America/Havana").unwrap();
    let run = schedule
        .next_after(at("2026-12-01T00:00:00Z"))
        .unwrap()
        .unwrap();
    assert_eq!(schedule.check(&run), Ok(()));
    // As it was worked out before Cuba said that its clocks would stay.
    let stored = Run {
        at: run.at + SignedDuration::from_hours(1),
        ..run
    };
    let error = schedule.check(&stored).unwrap_err();
    assert_eq!((error.recorded, error.now), (stored.at, Some(run.at)));
    assert!(
        error
            .to_string()
            .starts_with("America/Havana has other rules now: 2026-12-01T02:00:00 was due at")
    );
    let never = Run {
        wall: run.wall.date().at(3, 0, 0, 0),
        ..run
    };
    assert_eq!(schedule.check(&never).unwrap_err().now, None);
}
