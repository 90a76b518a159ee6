//! A simulated cloud, an engine that fires schedules, and a host clock that can be set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use stillpoint_core::{ResourceRef, Result, Snapshot};
use stillpoint_engine::{
    Clock, Engine, EngineBuilder, JobQuery, RunState, ScheduleSpec, Select, Subject,
};
use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
use stillpoint_schedule::{Cron, Schedule};
use stillpoint_state::catalogue::Query;
use stillpoint_state::{Memory, State};
use tokio::task::JoinHandle;

use crate::common::CHUNK;

/// Days are of March 2026; `at("02T03:00")` is the second at three.
pub(crate) fn at(text: &str) -> Timestamp {
    format!("2026-03-{text}:00Z").parse().unwrap()
}

pub(crate) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// The host's clock: the cloud's, but it can be wrong by as much as a test likes.
#[derive(Clone)]
pub(crate) struct HostClock {
    cloud: stillpoint_iaas::sim::Clock,
    wrong_by: Arc<AtomicI64>,
}

impl std::fmt::Debug for HostClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostClock")
    }
}

#[async_trait]
impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        (self.cloud)() + SignedDuration::from_secs(self.wrong_by.load(Ordering::SeqCst))
    }

    fn passed(&self) -> Duration {
        let passed = (self.cloud)().duration_since(Timestamp::UNIX_EPOCH);
        passed.try_into().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub(crate) struct Bed {
    pub(crate) cloud: SimCloud,
    pub(crate) state: Arc<dyn State>,
    pub(crate) clock: HostClock,
    pub(crate) engine: Engine,
    driving: JoinHandle<Result<()>>,
    more: fn(EngineBuilder) -> EngineBuilder,
}

impl Bed {
    /// `web-1` and `web-2`, both labelled, and `db-1`, which is not; it is noon of the first.
    pub(crate) fn new() -> Self {
        Self::on(Personality::Files)
    }

    pub(crate) fn on(personality: Personality) -> Self {
        Self::with(personality, |builder| builder)
    }

    pub(crate) fn with(personality: Personality, more: fn(EngineBuilder) -> EngineBuilder) -> Self {
        let cloud = SimCloud::builder(personality)
            .name("prod")
            .clock(clock_from(at("01T12:00")))
            .build();
        for (name, label) in [("web-1", "nightly"), ("web-2", "nightly"), ("db-1", "no")] {
            let new = NewInstance::new(name).disk("root", CHUNK).off();
            cloud.add_instance(new.label("backup", label));
        }
        let clock = HostClock {
            cloud: cloud.clock(),
            wrong_by: Arc::default(),
        };
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let (engine, driving) = start(&cloud, &state, &clock, more);
        Self {
            cloud,
            state,
            clock,
            engine,
            driving,
            more,
        }
    }

    /// As kill -9 does.
    pub(crate) fn down(&mut self) {
        self.driving.abort();
        self.cloud.crash();
    }

    /// As kill -9 does, where what was asked of the cloud does not die with who asked.
    pub(crate) fn die(&mut self) {
        self.driving.abort();
    }

    /// Only looks, as another process does while nothing drives.
    pub(crate) fn look(&mut self) {
        let builder = Engine::builder(Arc::clone(&self.state))
            .provider(Arc::new(self.cloud.connect()))
            .clock(Arc::new(self.clock.clone()));
        self.engine = builder.read_only().build().unwrap();
    }

    pub(crate) fn up(&mut self) {
        let state = Arc::clone(&self.state);
        self.up_on(&state);
    }

    /// Up again, on this view of the state.
    pub(crate) fn up_on(&mut self, state: &Arc<dyn State>) {
        self.driving.abort();
        (self.engine, self.driving) = start(&self.cloud, state, &self.clock, self.more);
    }

    /// Another engine beside the one there is, on the same state.
    pub(crate) fn another(&self) -> (Engine, JoinHandle<Result<()>>) {
        self.another_on(&self.state)
    }

    pub(crate) fn another_on(&self, state: &Arc<dyn State>) -> (Engine, JoinHandle<Result<()>>) {
        let more = |builder: EngineBuilder| builder.node("another");
        start(&self.cloud, state, &self.clock, more)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets the host's clock that much ahead of where it is, or back.
    pub(crate) fn jump(&self, by: SignedDuration) {
        let clock = &self.clock.wrong_by;
        clock.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// Lets time pass until the host's clock shows this.
    pub(crate) async fn until(&self, then: Timestamp) {
        let left = Duration::try_from(then.duration_since(self.now())).unwrap();
        tokio::time::sleep(left).await;
    }

    pub(crate) async fn apply(&self, spec: &ScheduleSpec) {
        let plan = self.engine.plan_schedule(spec).await.unwrap();
        self.engine.apply_schedule(&plan).await.unwrap();
    }

    /// The ledger: every run in order, and what became of it.
    pub(crate) async fn runs(&self) -> Vec<String> {
        let runs = self.engine.schedule_runs("nightly").await.unwrap();
        let line = |run: &stillpoint_engine::ScheduledRun| {
            let state = match &run.state {
                RunState::Done { taken } => format!("done {taken}"),
                RunState::Failed { taken, failed, .. } => format!("failed {failed}, done {taken}"),
                RunState::Missed { through } => {
                    format!("missed to {}", through.wall.strftime("%dT%H:%M"))
                }
                other => format!("{other:?}").to_lowercase(),
            };
            format!("{} {state}", run.run.wall.strftime("%dT%H:%M"))
        };
        runs.iter().map(line).collect()
    }

    /// Every run that was done at all, and when it began.
    pub(crate) async fn began(&self) -> Vec<String> {
        let runs = self.engine.schedule_runs("nightly").await.unwrap();
        let mut began: Vec<_> = runs
            .iter()
            .filter_map(|run| Some((run.began_at?, run.run.wall)))
            .collect();
        began.sort();
        let line = |(began, wall): &(Timestamp, jiff::civil::DateTime)| {
            let at = began.strftime("%dT%H:%M");
            format!("{at} for {}", wall.strftime("%dT%H:%M"))
        };
        began.iter().map(line).collect()
    }

    pub(crate) async fn snapshots(&self) -> Vec<Snapshot> {
        let query = Query {
            order: stillpoint_state::catalogue::Order::Ascending,
            ..Query::default()
        };
        let page = self.engine.catalogue().list(&query).await.unwrap();
        page.rows.into_iter().map(|row| row.snapshot).collect()
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let snapshots = self.snapshots().await;
        let mut names: Vec<_> = snapshots.into_iter().map(|it| it.name).collect();
        names.sort();
        names
    }

    /// Nothing was taken twice: no two jobs ask for one snapshot name.
    pub(crate) async fn check_none_twice(&self, what: &str) {
        let mut asked = BTreeMap::new();
        for job in self.engine.jobs(&JobQuery::default()).await.unwrap() {
            if let stillpoint_engine::Request::Take(take) = &job.request {
                *asked.entry(take.name.clone()).or_insert(0) += 1;
            }
        }
        asked.retain(|_, times| *times > 1);
        assert!(asked.is_empty(), "{what}: {asked:?}");
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

fn start(
    cloud: &SimCloud,
    state: &Arc<dyn State>,
    clock: &HostClock,
    more: fn(EngineBuilder) -> EngineBuilder,
) -> (Engine, JoinHandle<Result<()>>) {
    let builder = Engine::builder(Arc::clone(state))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(clock.clone()));
    let engine = more(builder).build().unwrap();
    let driving = tokio::spawn(engine.run());
    (engine, driving)
}

/// Every night at two, of everything with the label.
pub(crate) fn nightly() -> ScheduleSpec {
    on(cron("0 2 * * *"))
}

pub(crate) fn on(when: Schedule) -> ScheduleSpec {
    ScheduleSpec::new(
        "nightly",
        Subject::Instances(Select::label("backup", "nightly").on("prod")),
        when,
    )
}

pub(crate) fn cron(expression: &str) -> Schedule {
    Schedule::cron(Cron::parse(expression).unwrap())
}

pub(crate) fn web(number: u8) -> ResourceRef {
    format!("prod/instance/web-{number}").parse().unwrap()
}

/// A schedule of `web-1` alone.
pub(crate) fn of_web_1(when: Schedule) -> ScheduleSpec {
    let only = Subject::Instances(Select::these([web(1)]));
    ScheduleSpec::new("nightly", only, when)
}
