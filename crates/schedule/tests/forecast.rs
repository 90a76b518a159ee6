//! The forecast against the plainest simulation there is: take, plan, delete, count, run by run,
//! with the public planner over the whole inventory.
//!
//! `STILLPOINT_SEEDS=1000` for the long run; forty otherwise.

mod inventories;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use stillpoint_schedule::{
    Cron, Schedule,
    forecast::{ForecastError, Scenario, forecast},
    retention::{Health, Keep, RetentionError, Snapshot},
};

use crate::inventories::{NOW, inventory, policy};

const SOURCES: [&str; 3] = ["source-0", "source-1", "new"];

#[test]
fn equals_a_simulation_for_every_seed() {
    let seeds = std::env::var("STILLPOINT_SEEDS").map_or(40, |seeds| seeds.parse().unwrap());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let schedules = [
        "0 2 * * *",
        "0 */6 * * *",
        "30 22 * * mon,thu",
        "0 3 1,15 * *",
        "15 * * * *",
    ];
    let (mut taken, mut failed, mut deleted) = (0, 0, 0);
    for seed in 0..seeds {
        let inventory = inventory().new_tree(&mut runner).unwrap().current();
        let policy = policy().new_tree(&mut runner).unwrap().current();
        let schedule = Cron::parse(schedules[seed as usize % schedules.len()]).unwrap();
        let schedule = Schedule::cron(schedule).tz(policy.zone).unwrap();
        let scenario = Scenario {
            policy: "own",
            keep: &policy.keep,
            schedule: &schedule,
            sources: &SOURCES,
            inventory: &inventory,
            now: NOW.parse().unwrap(),
            days: 20,
            failure: [0.0, 0.1, 0.5, 0.95][seed as usize / 5 % 4],
            seed,
        };
        let forecast = forecast(&scenario).unwrap();
        let simulation = Simulation::run(&scenario, policy.zone, &forecast_failures(&forecast));

        assert_eq!(forecast.days.len(), 20);
        for (day, simulated) in forecast.days.iter().zip(&simulation.days) {
            let counts = (day.kept, day.good, day.taken, day.failed, day.deleted);
            assert_eq!(counts, *simulated, "seed {seed}, {}", day.date);
        }
        let lives: BTreeMap<_, _> = forecast
            .lives
            .iter()
            .map(|life| (life.id.clone(), life.gone_at))
            .collect();
        assert_eq!(lives, simulation.lives, "seed {seed}");
        assert_eq!(
            (forecast.peak.count, forecast.peak.at),
            simulation.peak,
            "seed {seed}"
        );
        let worst = forecast
            .worst_recovery_point
            .map(|worst| (worst.age, worst.at, worst.source));
        assert_eq!(worst, simulation.worst, "seed {seed}");
        let fewest = forecast
            .fewest_good
            .map(|fewest| (fewest.count, fewest.at, fewest.source));
        assert_eq!(fewest, simulation.fewest, "seed {seed}");
        taken += forecast.days.iter().map(|day| day.taken).sum::<usize>();
        failed += forecast.days.iter().map(|day| day.failed).sum::<usize>();
        deleted += forecast.days.iter().map(|day| day.deleted).sum::<usize>();
    }
    println!("{seeds} seeds: {taken} taken, {failed} failed, {deleted} deleted");
    assert!(
        taken > 50 * seeds as usize
            && failed > 10 * seeds as usize
            && deleted > 50 * seeds as usize
    );
}

/// Which runs took what: the draw is the forecast's own business, and tested below.
fn forecast_failures(
    forecast: &stillpoint_schedule::forecast::Forecast,
) -> Vec<(Timestamp, String)> {
    forecast
        .lives
        .iter()
        .filter(|life| life.id.starts_with("own@"))
        .map(|life| (life.taken_at, life.source.clone()))
        .collect()
}

#[derive(Default)]
struct Simulation {
    days: Vec<(usize, usize, usize, usize, usize)>,
    lives: BTreeMap<String, Option<Timestamp>>,
    peak: (usize, Timestamp),
    worst: Option<(SignedDuration, Timestamp, String)>,
    fewest: Option<(usize, Timestamp, String)>,
}

impl Simulation {
    fn run(scenario: &Scenario<'_>, zone: &str, succeeded: &[(Timestamp, String)]) -> Self {
        let mut there = scenario.inventory.to_vec();
        let mut simulation = Self {
            peak: (there.len(), scenario.now),
            ..Self::default()
        };
        simulation.lives = there
            .iter()
            .map(|snapshot| (snapshot.id.clone(), None))
            .collect();
        // Good is what can be brought back: whole groups that are verified, as old as their oldest part.
        let good_of = |there: &[Snapshot], source: &str| -> Vec<Timestamp> {
            let mut points = Vec::new();
            for snapshot in there.iter().filter(|snapshot| snapshot.source == source) {
                let together = |other: &&Snapshot| {
                    other.id == snapshot.id
                        || other.group.is_some() && other.group == snapshot.group
                };
                let group: Vec<_> = there.iter().filter(together).collect();
                if group.iter().all(|other| other.health == Health::Verified) {
                    points.push(group.iter().map(|other| other.taken_at).min().unwrap());
                }
            }
            points
        };
        let newest_of = |there: &[Snapshot], source: &str, at: Timestamp| {
            good_of(there, source)
                .into_iter()
                .filter(|point| *point <= at)
                .max()
        };
        let today = scenario.now.in_tz(zone).unwrap().date();
        let mut after = scenario.now;
        let mut last_end = scenario.now;
        for day in 0..i64::from(scenario.days) {
            let end = today
                .checked_add((day + 1).days())
                .unwrap()
                .in_tz(zone)
                .unwrap()
                .timestamp();
            let (mut taken, mut failed, mut deleted) = (0, 0, 0);
            while let Some(run) = scenario
                .schedule
                .next_after(after)
                .unwrap()
                .filter(|run| run.at < end)
            {
                after = run.at;
                let mut any = false;
                for source in scenario.sources {
                    if let Some(last) = newest_of(&there, source, run.at) {
                        simulation.age(run.at.duration_since(last), run.at, source);
                    }
                    if !succeeded.contains(&(run.at, (*source).to_owned())) {
                        failed += 1;
                        continue;
                    }
                    any = true;
                    taken += 1;
                    let id = format!("{}/{source}", run.key("own"));
                    simulation.lives.insert(id.clone(), None);
                    there.push(Snapshot {
                        policy: Some("own".into()),
                        health: Health::Verified,
                        ..Snapshot::new(id, *source, run.at)
                    });
                }
                if there.len() > simulation.peak.0 {
                    simulation.peak = (there.len(), run.at);
                }
                if any {
                    let plan = scenario.keep.plan("own", &there, run.at).unwrap();
                    for id in plan.deletions {
                        there.retain(|snapshot| snapshot.id != id);
                        simulation.lives.insert(id, Some(run.at));
                        deleted += 1;
                    }
                }
                for source in scenario.sources {
                    let count = good_of(&there, source).len();
                    if simulation
                        .fewest
                        .as_ref()
                        .is_none_or(|(fewest, ..)| count < *fewest)
                    {
                        simulation.fewest = Some((count, run.at, (*source).to_owned()));
                    }
                }
            }
            let sources: std::collections::BTreeSet<&str> =
                there.iter().map(|snapshot| &*snapshot.source).collect();
            let good = sources
                .into_iter()
                .map(|source| good_of(&there, source).len())
                .sum();
            simulation
                .days
                .push((there.len(), good, taken, failed, deleted));
            last_end = end;
        }
        for source in scenario.sources {
            if let Some(last) = newest_of(&there, source, last_end) {
                simulation.age(last_end.duration_since(last), last_end, source);
            }
        }
        simulation
    }

    fn age(&mut self, age: SignedDuration, at: Timestamp, source: &str) {
        if self.worst.as_ref().is_none_or(|(worst, ..)| age > *worst) {
            self.worst = Some((age, at, source.to_owned()));
        }
    }
}

fn nightly() -> Schedule {
    Schedule::cron(Cron::parse("0 2 * * *").unwrap())
}

fn scenario<'a>(keep: &'a Keep, schedule: &'a Schedule) -> Scenario<'a> {
    Scenario {
        policy: "own",
        keep,
        schedule,
        sources: &["web-1"],
        inventory: &[],
        now: NOW.parse().unwrap(),
        days: 1000,
        failure: 0.25,
        seed: 1,
    }
}

#[test]
fn failures_come_as_often_as_was_said_and_the_same_for_the_same_seed() {
    let (keep, schedule) = (Keep::new().last(3), nightly());
    let scenario = scenario(&keep, &schedule);
    let one = forecast(&scenario).unwrap();
    let failed: usize = one.days.iter().map(|day| day.failed).sum();
    assert!((200..300).contains(&failed), "{failed}");
    assert_eq!(forecast(&scenario).unwrap(), one);
    assert_ne!(
        forecast(&Scenario {
            seed: 2,
            ..scenario
        })
        .unwrap()
        .lives,
        one.lives
    );
    let never = forecast(&Scenario {
        failure: 1.0,
        ..scenario
    })
    .unwrap();
    assert_eq!(
        (
            never.lives.len(),
            never.fewest_good.unwrap().count,
            never.worst_recovery_point
        ),
        (0, 0, None)
    );
    let at: Timestamp = "2026-08-01T00:00:00Z".parse().unwrap();
    assert_eq!(one.kept_at(at).count(), one.days[30].kept);
}

#[test]
fn what_cannot_be_forecast_is_refused() {
    let (keep, empty, schedule) = (Keep::new().last(3), Keep::new(), nightly());
    let scenario = scenario(&keep, &schedule);
    for failure in [-0.1, 1.1, f64::NAN] {
        let error = forecast(&Scenario {
            failure,
            ..scenario
        })
        .unwrap_err();
        assert!(matches!(error, ForecastError::Probability { .. }));
    }
    let error = forecast(&Scenario {
        keep: &empty,
        ..scenario
    })
    .unwrap_err();
    assert_eq!(error, ForecastError::Retention(RetentionError::EmptyPolicy));
    let error = forecast(&Scenario {
        days: 4_000_000,
        ..scenario
    })
    .unwrap_err();
    assert!(matches!(error, ForecastError::EndOfTime { .. }));
}
