//! Bad weather follows from its seed, and stays within what each system promises.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use stillpoint_core::ResourceRef;
use stillpoint_iaas::sim::{Inventory, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Observation, Operation, Provider};
use tokio::time::timeout;

use crate::ask::{MIB, key, new_volume, snapshot, submit};

const SEEDS: u64 = 40;

struct Day {
    trace: String,
    asked: Vec<(String, Operation)>,
    cloud: SimCloud,
    end: Inventory,
}

/// Asks for this and that in bad weather, and is killed now and then.
async fn day(personality: Personality, seed: u64) -> Day {
    let cloud = SimCloud::new(personality);
    let new = NewInstance::new("web-1")
        .disk("root", MIB)
        .disk("data", MIB);
    let web = cloud.add_instance(new.writing(Duration::from_millis(50)));
    let root = cloud.disk(&web, "root").unwrap();
    let data = cloud.disk(&web, "data").unwrap();
    let spare = cloud.add_volume("spare", MIB);
    cloud.weather(seed, 400);
    let mut provider = cloud.connect();
    let mut dice = fastrand::Rng::with_seed(seed);
    let (mut trace, mut asked) = (String::new(), Vec::new());
    for number in 0..12 {
        let operation = match dice.u32(0..6) {
            0 => Operation::Snapshot(snapshot(&spare, &[&spare])),
            1 => Operation::Snapshot(snapshot(&web, &[&root, &data])),
            2 => Operation::PowerOff {
                instance: web.clone(),
            },
            3 => Operation::PowerOn {
                instance: web.clone(),
            },
            4 => Operation::Freeze {
                instance: web.clone(),
                at_most: Duration::from_secs(5),
            },
            _ => new_volume(MIB, None),
        };
        let name = format!("ask-{number}");
        let wait = Duration::from_secs(dice.u64(1..30));
        let answer = timeout(wait, submit(&provider, &name, &operation)).await;
        let _ = writeln!(trace, "{} {name} {operation}: {answer:?}", cloud.now());
        if dice.u32(0..4) == 0 {
            provider = cloud.restart();
        } else if dice.bool() {
            let _ = timeout(wait, provider.cancel(&key(&name), &operation, None)).await;
        }
        asked.push((name, operation));
    }
    cloud.clear_faults();
    cloud.settle().await;
    let end = cloud.inventory();
    Day {
        trace,
        asked,
        cloud,
        end,
    }
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_days() {
    let mut different = BTreeSet::new();
    for personality in Personality::ALL {
        for seed in 0..SEEDS {
            let (one, other) = (day(personality, seed).await, day(personality, seed).await);
            assert_eq!(one.trace, other.trace, "{personality}, seed {seed}");
            assert_eq!(one.end, other.end, "{personality}, seed {seed}");
            assert_eq!(one.cloud.freeze_log(), other.cloud.freeze_log());
            different.insert(one.trace);
        }
    }
    assert_eq!(different.len() as u64, 5 * SEEDS);
}

#[tokio::test(start_paused = true)]
async fn after_any_day_the_keys_alone_tell_of_all_that_was_made() {
    for personality in Personality::ALL {
        if personality == Personality::Process {
            continue;
        }
        for seed in 0..SEEDS {
            let day = day(personality, seed).await;
            let provider = day.cloud.restart();
            let mut told: BTreeSet<ResourceRef> = BTreeSet::new();
            for (name, operation) in &day.asked {
                let seen = provider.observe(&key(name), operation, None).await;
                told.extend(match seen.unwrap() {
                    Observation::Done { output, twins } => {
                        output.created().into_iter().chain(twins).collect()
                    }
                    Observation::Cancelled { left } | Observation::Failed { left, .. } => left,
                    Observation::Absent => Vec::new(),
                    other => panic!("{personality}, seed {seed}: {name} is {other:?}"),
                });
            }
            let ours: BTreeSet<_> = day.end.ours().map(|(it, _)| it.clone()).collect();
            assert_eq!(told, ours, "{personality}, seed {seed}:\n{}", day.trace);
            let frozen: Vec<_> = day.cloud.freeze_log();
            assert!(frozen.iter().all(|freeze| freeze.until.is_some()));
        }
    }
}
