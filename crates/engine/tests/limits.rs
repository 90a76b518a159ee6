//! A provider's limits with 64 jobs at once, on virtual time and to the millisecond: nothing is
//! refused for them, everybody comes in turn, and nobody waits for longer than that takes.

mod common;
mod unlimited;

use std::sync::Arc;
use std::time::Duration;

use common::CloudClock;
use jiff::{SignedDuration, Timestamp};
use stillpoint_core::Consistency;
use stillpoint_engine::{Engine, Job, Request, Take};
use stillpoint_iaas::sim::{At, Call, Fault, NewInstance, Personality, SimCloud};
use stillpoint_iaas::{Limits, Provider, RateLimit};
use stillpoint_state::Memory;
use unlimited::Unlimited;

/// At once.
const JOBS: usize = 64;

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn one_in_ten_minutes(at_once: u32) -> Limits {
    Limits {
        at_once,
        rate: Some(RateLimit {
            calls: 1,
            per: TEN_MINUTES,
        }),
        call_timeout: Duration::from_secs(30),
    }
}

fn at_once(at_once: u32) -> Limits {
    Limits {
        rate: None,
        ..one_in_ten_minutes(at_once)
    }
}

fn cloud(personality: Personality, limits: Limits) -> SimCloud {
    let cloud = SimCloud::builder(personality).name("prod");
    cloud.limits(limits).build()
}

fn engine(cloud: &SimCloud, provider: Arc<dyn Provider>) -> Engine {
    let engine = Engine::builder(Arc::new(Memory::new()))
        .provider(provider)
        .clock(Arc::new(CloudClock(cloud.clock())))
        .build()
        .unwrap();
    tokio::spawn(engine.run());
    engine
}

/// Takes a snapshot of each of 64 instances, all at once, and gives the jobs in the order in which
/// they were started.
async fn take_all(
    cloud: &SimCloud,
    engine: &Engine,
    shape: fn(NewInstance) -> NewInstance,
) -> Vec<Job> {
    let mut requests = Vec::new();
    for number in 0..JOBS {
        let instance = NewInstance::new(format!("web-{number}")).disk("root", 4096);
        requests.push(Request::Take(Take {
            prefer: Consistency::Filesystem,
            ..Take::of(cloud.add_instance(shape(instance)))
        }));
    }
    run_all(engine, &requests).await
}

async fn run_all(engine: &Engine, requests: &[Request]) -> Vec<Job> {
    let mut plans = Vec::new();
    for request in requests {
        plans.push(engine.plan(request).await.unwrap());
    }
    let started = plans.iter().map(|plan| async {
        let id = engine.start(plan).await.unwrap();
        engine.wait(id).await.unwrap()
    });
    let jobs = futures_util::future::join_all(started).await;
    for job in &jobs {
        assert!(job.is_good(), "{job:#?}");
    }
    jobs
}

async fn delete_all(engine: &Engine, taken: &[Job]) -> Vec<Job> {
    let deletes: Vec<_> = taken
        .iter()
        .map(|job| Request::Delete {
            snapshot: job.snapshot.unwrap(),
        })
        .collect();
    run_all(engine, &deletes).await
}

fn ends(jobs: &[Job]) -> Vec<Timestamp> {
    jobs.iter().map(|job| job.ended_at.unwrap()).collect()
}

/// Each ends so long after the one before it.
fn assert_in_steps_of(step: Duration, jobs: &[Job]) {
    let step = SignedDuration::try_from(step).unwrap();
    for (number, pair) in ends(jobs).windows(2).enumerate() {
        assert_eq!(
            pair[1].duration_since(pair[0]),
            step,
            "job {number} and the next"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_in_ten_minutes_is_one_job_in_ten_minutes() {
    let cloud = cloud(Personality::Declarative, one_in_ten_minutes(64));
    let engine = engine(&cloud, Arc::new(cloud.connect()));
    let jobs = take_all(&cloud, &engine, NewInstance::off).await;
    assert_in_steps_of(TEN_MINUTES, &jobs);
    assert_eq!((cloud.calls().submits, cloud.calls().rate_limited), (64, 0));

    // Deletes are calls, too, and no deadline runs while they wait for more than ten hours.
    cloud.settle().await;
    tokio::time::sleep(TEN_MINUTES).await;
    let jobs = delete_all(&engine, &jobs).await;
    assert_in_steps_of(TEN_MINUTES, &jobs);
    assert_eq!(
        (cloud.calls().submits, cloud.calls().rate_limited),
        (128, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn so_many_at_once_and_no_more() {
    let cloud = cloud(Personality::Rest, at_once(4));
    let engine = engine(&cloud, Arc::new(cloud.connect()));
    let jobs = take_all(&cloud, &engine, NewInstance::off).await;
    assert!(ends(&jobs).is_sorted(), "first come, first served");
    let jobs = delete_all(&engine, &jobs).await;
    assert!(ends(&jobs).is_sorted(), "first come, first served");
    assert_eq!(
        (cloud.calls().submits, cloud.calls().rate_limited),
        (128, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_keeps_its_place() {
    for (retry_after, wait) in [
        (Some(Duration::from_secs(90)), Duration::from_secs(90)),
        // The simulated cloud's word for none.
        (None, Duration::from_secs(1)),
    ] {
        for slots in [1, 64] {
            let cloud = cloud(Personality::Declarative, at_once(slots));
            let engine = engine(&cloud, Arc::new(cloud.connect()));
            let begun = cloud.now();
            let refused = if slots == 1 { 3 } else { 1 };
            let at = At::call(Call::Submit).times(refused);
            cloud.fault(at, Fault::RateLimited { retry_after });
            let jobs = take_all(&cloud, &engine, NewInstance::off).await;
            let ends = ends(&jobs);
            if slots == 1 {
                assert!(
                    ends.is_sorted(),
                    "nobody overtakes who was refused: {ends:?}"
                );
                assert_eq!(cloud.calls().submits, 64);
            }
            // It waited as long as it was told, and not once more.
            let first = Duration::try_from(ends[0].duration_since(begun)).unwrap();
            let floor = wait * refused;
            assert!(
                first > floor && first < floor + Duration::from_secs(60),
                "{first:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_not_told_is_found_without_a_storm() {
    let cloud = cloud(Personality::Declarative, one_in_ten_minutes(64));
    let silent = Unlimited(cloud.connect());
    let engine = engine(&cloud, Arc::new(silent));
    let jobs = take_all(&cloud, &engine, NewInstance::off).await;
    assert!(
        ends(&jobs).is_sorted(),
        "in turn, whoever was refused how often"
    );
    // The first round is refused but for one; then one goes alone, and two after it.
    let refused = cloud.calls().rate_limited;
    assert!(refused <= 63 + 2 * 63, "{refused}");
    let took = ends(&jobs)[63].duration_since(ends(&jobs)[0]);
    let ideal = SignedDuration::try_from(TEN_MINUTES * 63).unwrap();
    assert!(
        took >= ideal && took < ideal + SignedDuration::from_mins(5),
        "{took:#}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_frozen_goes_first() {
    let cloud = cloud(Personality::Files, at_once(2));
    let engine = engine(&cloud, Arc::new(cloud.connect()));
    take_all(&cloud, &engine, |instance| instance.disk("data", 4096)).await;
    let log = cloud.freeze_log();
    assert_eq!(log.len(), JOBS);
    let longest = log.iter().map(|it| it.duration().unwrap()).max();
    // Two snapshots and a thaw, each of at most a tenth of a simulated REST cloud's 2 s, one
    // after another where another guest has the second slot.
    assert!(
        longest.unwrap() < SignedDuration::from_secs(2),
        "{longest:?}"
    );
    assert!(log.iter().all(|it| !it.thawed_itself), "{log:#?}");
}
