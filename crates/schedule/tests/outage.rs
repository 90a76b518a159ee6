//! Outages, clocks that jump, runs that take too long, crashes: which runs are done, to the last one.
//!
//! A small service on a virtual clock: what it keeps through a crash is in `Store`; the log is ours.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use stillpoint_schedule::{
    Cron, Schedule, Timeline,
    policy::{Admission, Missed, Overlap},
};

/// What survives a crash.
#[derive(Default)]
struct Store {
    since: BTreeMap<String, Timestamp>,
    done: BTreeSet<String>,
}

/// What was done, in order, and what was given up.
#[derive(Default)]
struct Log {
    runs: Vec<String>,
    missed: Vec<(String, String)>,
    repeated: Vec<String>,
}

fn at(text: &str) -> Timestamp {
    format!("2026-01-{text}Z").parse().unwrap()
}

fn nightly() -> Schedule {
    Schedule::cron(Cron::parse("0 2 * * *").unwrap())
}

fn hourly() -> Schedule {
    Schedule::cron(Cron::parse("0 * * * *").unwrap())
}

/// A service with one schedule.
struct Service {
    schedule: Schedule,
    timeline: Timeline,
    store: Store,
    log: Log,
}

impl Service {
    fn start(schedule: Schedule) -> Self {
        let mut service = Self {
            schedule,
            timeline: Timeline::new(),
            store: Store::default(),
            log: Log::default(),
        };
        service.restart();
        service
    }

    /// After a crash: only the store is as it was.
    fn restart(&mut self) {
        self.timeline = Timeline::new();
        let since = self.store.since.get("s").copied();
        self.timeline
            .insert(
                "s",
                self.schedule.clone(),
                since.unwrap_or(at("01T00:00:00")),
            )
            .unwrap();
    }

    /// Is up from one time to another, and looks every minute.
    fn up(&mut self, from: Timestamp, until: Timestamp) {
        let mut now = from;
        while now <= until {
            self.tick(now);
            now += SignedDuration::from_mins(1);
        }
    }

    /// Does what is due, once.
    fn tick(&mut self, now: Timestamp) {
        while let Some(firing) = self.timeline.pop(now) {
            for run in firing.due.runs {
                let key = run.key(&firing.schedule).to_string();
                if self.store.done.insert(key.clone()) {
                    self.log.runs.push(run.at.to_string());
                } else {
                    self.log.repeated.push(key);
                }
            }
            if let Some(missed) = firing.due.missed {
                let missed = (missed.first.at.to_string(), missed.last.at.to_string());
                self.log.missed.push(missed);
            }
            let since = self.timeline.since(&firing.schedule).unwrap();
            self.store.since.insert(firing.schedule.to_string(), since);
        }
    }
}

/// Up on the 1st to the 3rd, down for 72 hours until noon of the 6th, up until the 8th.
fn outage(missed: Missed) -> Log {
    let schedule = nightly().on_missed(missed);
    let mut service = Service::start(schedule);
    service.up(at("01T00:00:00"), at("03T12:00:00"));
    service.restart();
    service.up(at("06T12:00:00"), at("08T12:00:00"));
    assert_eq!(service.log.repeated, Vec::<String>::new());
    service.log
}

fn nights(days: &[u8]) -> Vec<String> {
    days.iter()
        .map(|day| format!("2026-01-{day:02}T02:00:00Z"))
        .collect()
}

#[test]
fn an_outage_of_72_hours_under_each_policy() {
    let missed = |first: u8, last: u8| {
        let [first, last]: [String; 2] = nights(&[first, last]).try_into().unwrap();
        vec![(first, last)]
    };
    let log = outage(Missed::Skip);
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 7, 8]), missed(4, 6))
    );
    let log = outage(Missed::Latest);
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 6, 7, 8]), missed(4, 5))
    );
    let log = outage(Missed::All { at_most: 2 });
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 5, 6, 7, 8]), missed(4, 4))
    );
    let log = outage(Missed::All { at_most: 10 });
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 4, 5, 6, 7, 8]), vec![])
    );
    let window = SignedDuration::from_hours(34);
    let log = outage(Missed::Within { window });
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 5, 6, 7, 8]), missed(4, 4))
    );
    let log = outage(Missed::Within {
        window: window - SignedDuration::from_secs(1),
    });
    assert_eq!(
        (log.runs, log.missed),
        (nights(&[1, 2, 3, 6, 7, 8]), missed(4, 5))
    );
}

#[test]
fn the_first_look_after_a_start_is_not_late_within_the_grace() {
    let schedule = nightly().on_missed(Missed::Skip);
    let five_minutes = schedule.due(at("01T00:00:00"), at("01T02:05:00")).unwrap();
    assert_eq!(five_minutes.runs.len(), 1);
    let later = schedule.due(at("01T00:00:00"), at("01T02:05:01")).unwrap();
    assert_eq!((later.runs.len(), later.missed.is_some()), (0, true));
}

#[test]
fn a_small_step_back_repeats_nothing_and_skips_nothing() {
    let mut service = Service::start(hourly());
    service.up(at("01T00:00:00"), at("01T03:00:30"));
    // Ten minutes back, over the run at three.
    service.up(at("01T02:50:30"), at("01T05:00:30"));
    let hours: Vec<_> = (1..=5)
        .map(|hour| format!("2026-01-01T{hour:02}:00:00Z"))
        .collect();
    assert_eq!(service.log.runs, hours);
    assert_eq!(
        (service.log.missed.len(), service.log.repeated.len()),
        (0, 0)
    );
}

#[test]
fn a_clock_that_was_a_year_ahead_does_not_silence_a_schedule_for_a_year() {
    let mut service = Service::start(nightly());
    service.up(at("01T00:00:00"), at("02T12:00:00"));
    let wrong: Timestamp = "2027-01-05T12:00:00Z".parse().unwrap();
    service.up(wrong, wrong + SignedDuration::from_hours(24));
    service.up(at("03T12:30:00"), at("05T12:00:00"));
    // The run of the 3rd was missed while the clock was wrong. It is in the record as such.
    assert_eq!(
        service.log.runs,
        [
            "2026-01-01T02:00:00Z",
            "2026-01-02T02:00:00Z",
            "2027-01-05T02:00:00Z",
            "2027-01-06T02:00:00Z",
            "2026-01-04T02:00:00Z",
            "2026-01-05T02:00:00Z",
        ]
    );
    assert_eq!(
        service.log.missed,
        [("2026-01-03T02:00:00Z".into(), "2027-01-04T02:00:00Z".into())]
    );
    // A year later the runs that were done ahead of time come again, and are known by their keys.
    service.up(
        "2027-01-04T12:00:00Z".parse().unwrap(),
        "2027-01-07T12:00:00Z".parse().unwrap(),
    );
    assert_eq!(
        service.log.repeated,
        ["s@2027-01-05T02:00:00", "s@2027-01-06T02:00:00"]
    );
    assert_eq!(service.log.runs.last().unwrap(), "2027-01-07T02:00:00Z");
}

#[test]
fn a_jump_forwards_is_an_outage() {
    let mut service = Service::start(nightly());
    service.up(at("01T00:00:00"), at("01T12:00:00"));
    service.up(at("04T12:00:00"), at("05T12:00:00"));
    assert_eq!(service.log.runs, nights(&[1, 4, 5]));
    assert_eq!(service.log.missed.len(), 1);
}

#[test]
fn a_crash_between_a_run_and_its_record_does_not_do_it_twice() {
    let mut service = Service::start(nightly());
    service.up(at("01T00:00:00"), at("01T12:00:00"));
    // Its key is durable, for that comes before the effect; `since` is not.
    let firing = service.timeline.pop(at("02T02:00:00")).unwrap();
    service
        .store
        .done
        .insert(firing.due.runs[0].key("s").to_string());
    service.restart();
    service.up(at("02T02:10:00"), at("03T12:00:00"));
    assert_eq!(service.log.repeated, ["s@2026-01-02T02:00:00"]);
    assert_eq!(service.log.runs, nights(&[1, 3]));
}

#[test]
fn a_crash_before_the_key_is_durable_does_the_run_after_all() {
    let mut service = Service::start(nightly());
    service.up(at("01T00:00:00"), at("01T12:00:00"));
    assert!(service.timeline.pop(at("02T02:00:00")).is_some());
    service.restart();
    service.up(at("02T02:10:00"), at("02T12:00:00"));
    assert_eq!(service.log.runs, nights(&[1, 2]));
}

/// An hourly run that takes 150 minutes: when each one starts.
fn slow(overlap: Overlap, limit: u32) -> Vec<String> {
    let schedule = hourly().on_overlap(overlap).with_limit(limit).unwrap();
    let mut timeline = Timeline::new();
    timeline
        .insert("s", schedule.clone(), at("01T00:30:00"))
        .unwrap();
    let (mut going, mut waiting, mut started) = (Vec::new(), Vec::new(), Vec::new());
    let mut now = at("01T00:30:00");
    while now <= at("01T08:00:00") {
        going.retain(|end| *end > now);
        if !waiting.is_empty() && schedule.admit(going.len() as u32, 0) == Admission::Start {
            started.push(format!(
                "{} for {}",
                now.strftime("%H:%M"),
                waiting.remove(0)
            ));
            going.push(now + SignedDuration::from_mins(150));
        }
        while let Some(firing) = timeline.pop(now) {
            for run in firing.due.runs {
                let due = run.at.strftime("%H:%M").to_string();
                match schedule.admit(going.len() as u32, waiting.len() as u32) {
                    Admission::Start => {
                        started.push(format!("{} for {due}", now.strftime("%H:%M")));
                        going.push(now + SignedDuration::from_mins(150));
                    }
                    Admission::Queue => waiting.push(due),
                    Admission::Skip => {}
                }
            }
        }
        now += SignedDuration::from_mins(1);
    }
    started
}

#[test]
fn a_run_longer_than_its_period_under_each_policy() {
    assert_eq!(
        slow(Overlap::Skip, 1),
        ["01:00 for 01:00", "04:00 for 04:00", "07:00 for 07:00"]
    );
    assert_eq!(
        slow(Overlap::Queue, 1),
        ["01:00 for 01:00", "03:30 for 02:00", "06:00 for 04:00"]
    );
    assert_eq!(
        slow(Overlap::Allow, 2),
        [
            "01:00 for 01:00",
            "02:00 for 02:00",
            "03:30 for 03:00",
            "04:30 for 04:00",
            "06:00 for 05:00",
            "07:00 for 06:00"
        ]
    );
    assert_eq!(slow(Overlap::Allow, 9).len(), 8);
}

#[test]
fn a_change_counts_from_when_it_is_made_and_no_change_is_none() {
    let mut timeline = Timeline::new();
    timeline.insert("s", nightly(), at("01T00:00:00")).unwrap();
    // The same once more, as a service does at every start: what is missed stays missed.
    timeline.insert("s", nightly(), at("05T00:00:00")).unwrap();
    assert_eq!(timeline.since("s"), Some(at("01T00:00:00")));
    let old = timeline.insert("s", hourly(), at("05T00:30:00")).unwrap();
    assert_eq!(old, Some(nightly()));
    assert_eq!(timeline.wake_at(), Some(at("05T01:00:00")));
    assert_eq!(timeline.remove("s"), Some(hourly()));
    assert_eq!((timeline.wake_at(), timeline.len()), (None, 0));
    assert_eq!(timeline.remove("s"), None);
}

#[test]
fn a_repeated_hour_has_two_keys() {
    let schedule = Schedule::cron(Cron::parse("30 * * * * Europe/Berlin").unwrap());
    let keys: Vec<_> = schedule
        .runs_after("2025-10-26T00:00:00Z".parse().unwrap())
        .take(2)
        .map(|run| run.key("s").to_string())
        .collect();
    assert_eq!(keys, ["s@2025-10-26T02:30:00", "s@2025-10-26T02:30:00/2"]);
}
