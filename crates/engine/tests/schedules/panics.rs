//! Something panics below a run: that run ends, and says so; others go on.

use std::cell::Cell;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use stillpoint_core::{Error, ErrorKind, Resource, ResourceRef, Result};
use stillpoint_engine::{
    Alarm, CustomObservation, CustomWork, EngineBuilder, Executor, ItemResult, RunState,
    ScheduleSpec, Select, Subject,
};
use stillpoint_iaas::sim::Personality;
use stillpoint_iaas::{
    Capabilities, Filter, Observation, Operation, OperationKey, Outlook, Provider, Ticket,
    VolumeBytes,
};

use crate::bed::{Bed, at, cron, web};

thread_local! {
    /// Whether it panics. A test and its engine are on one thread.
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// What has a bug, now and then.
#[derive(Debug)]
struct Buggy;

impl Buggy {
    fn panic(&self, what: &str) {
        assert!(!PANICS.get(), "no {what} today");
    }

    fn nothing(&self) -> Error {
        Error::new(ErrorKind::NotFound, "it has nothing")
    }
}

impl std::fmt::Display for Buggy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("buggy")
    }
}

#[async_trait]
impl Provider for Buggy {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(Personality::Files.capabilities())
    }

    async fn outlook(&self, _: &ResourceRef) -> Result<Outlook> {
        Ok(Outlook::default())
    }

    async fn describe(&self, _: &ResourceRef) -> Result<Resource> {
        self.panic("description");
        Err(self.nothing())
    }

    fn list(&self, _: &Filter) -> BoxStream<'_, Result<Resource>> {
        self.panic("list");
        Box::pin(futures_util::stream::empty())
    }

    async fn submit(&self, _: &OperationKey, _: &Operation) -> Result<Ticket> {
        Err(self.nothing())
    }

    async fn observe(
        &self,
        _: &OperationKey,
        _: &Operation,
        _: Option<&Ticket>,
    ) -> Result<Observation> {
        Err(self.nothing())
    }

    async fn cancel(&self, _: &OperationKey, _: &Operation, _: Option<&Ticket>) -> Result<()> {
        Err(self.nothing())
    }

    fn bytes(&self) -> Option<&dyn VolumeBytes> {
        None
    }
}

#[async_trait]
impl Executor for Buggy {
    async fn submit(&self, _: &OperationKey, _: &CustomWork) -> Result<Ticket> {
        self.panic("capture");
        Ok(Ticket::new("here"))
    }

    async fn observe(
        &self,
        _: &OperationKey,
        _: &CustomWork,
        _: Option<&Ticket>,
    ) -> Result<CustomObservation> {
        let captured = stillpoint_engine::Captured {
            taken_at: None,
            verified: true,
            place: "here".into(),
        };
        Ok(CustomObservation::Done(
            serde_json::to_value(captured).unwrap(),
        ))
    }

    async fn cancel(&self, _: &OperationKey, _: &CustomWork) -> Result<()> {
        Ok(())
    }
}

fn buggy(builder: EngineBuilder) -> EngineBuilder {
    builder
        .provider(Arc::new(Buggy))
        .executor("buggy-self", Arc::new(Buggy))
}

/// Until noon of the second, in whose night it panics.
async fn a_bad_night(spec: &ScheduleSpec) -> Bed {
    let bed = Bed::with(Personality::Files, buggy);
    bed.apply(spec).await;
    PANICS.set(true);
    bed.until(at("02T12:00")).await;
    PANICS.set(false);
    bed
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_is_over_and_the_next_one_is_done() {
    let all = Subject::Instances(Select::label("backup", "nightly"));
    let bed = a_bad_night(&ScheduleSpec::new("nightly", all, cron("0 2 * * *"))).await;
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let RunState::Broken { taken: 0, error } = &runs[0].state else {
        panic!("{:?}", runs[0])
    };
    assert!(
        error.message.ends_with("panicked: no list today"),
        "{error:?}"
    );
    assert_eq!(error.kind, ErrorKind::Internal);
    assert_eq!(runs[0].ended_at.unwrap(), at("02T02:00"));
    let health = bed.engine.health().await.unwrap();
    let (_, alarm) = health.alarms().next().unwrap();
    assert!(matches!(alarm, Alarm::Broken { .. }), "{alarm:?}");
    assert!(alarm.to_string().contains("broke off: "), "{alarm}");
    bed.until(at("03T12:00")).await;
    assert_eq!(bed.runs().await[1..], ["03T02:00 done 2"]);
    assert!(bed.engine.health().await.unwrap().is_good());
}

#[tokio::test(start_paused = true)]
async fn one_resource_that_panics_stops_no_other() {
    let these = Select::these(["buggy/instance/one".parse().unwrap(), web(1), web(2)]);
    let spec = ScheduleSpec::new("nightly", Subject::Instances(these), cron("0 2 * * *"));
    let bed = a_bad_night(&spec).await;
    assert_eq!(bed.runs().await, ["02T02:00 failed 1, done 2"]);
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let items = bed.engine.run_items(&runs[0]).await.unwrap();
    let ItemResult::Failed(report) = &items[0].result else {
        panic!("{items:?}")
    };
    assert!(
        report.message.ends_with("no description today"),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_ends_its_run_and_goes_on_after_a_restart() {
    let manager = Subject::Manager("buggy-self".into());
    let spec = ScheduleSpec::new("nightly", manager, cron("0 2 * * *"));
    let mut bed = a_bad_night(&spec).await;
    assert_eq!(bed.runs().await, ["02T02:00 failed 1, done 0"]);
    let runs = bed.engine.schedule_runs("nightly").await.unwrap();
    let items = bed.engine.run_items(&runs[0]).await.unwrap();
    let ItemResult::Failed(report) = &items[0].result else {
        panic!("{items:?}")
    };
    assert!(report.message.ends_with("no capture today"), "{report:?}");
    let job = items[0].job.unwrap();
    assert!(!bed.engine.job(job).await.unwrap().is_over());

    bed.down();
    bed.up();
    bed.until(at("03T12:00")).await;
    assert!(bed.engine.job(job).await.unwrap().is_good());
    assert_eq!(bed.runs().await[1..], ["03T02:00 done 1"]);
}
