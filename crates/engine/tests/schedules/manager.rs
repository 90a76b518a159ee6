use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stillpoint_core::{Error, ErrorKind, Result, World};
use stillpoint_engine::{
    Captured, CustomObservation, CustomWork, EngineBuilder, Executor, ManagerWork, Request,
    ScheduleSpec, Subject,
};
use stillpoint_iaas::sim::Personality;
use stillpoint_iaas::{OperationKey, Ticket};
use stillpoint_schedule::retention::Keep;

use crate::bed::{Bed, at, cron};

/// A control plane that captures itself into a map, by key.
#[derive(Clone, Debug, Default)]
struct Director {
    captures: Arc<Mutex<BTreeMap<String, Value>>>,
}

static CAPTURES: Mutex<Option<Director>> = Mutex::new(None);

fn director() -> Director {
    CAPTURES.lock().unwrap().get_or_insert_default().clone()
}

#[async_trait]
impl Executor for Director {
    async fn submit(&self, key: &OperationKey, work: &CustomWork) -> Result<Ticket> {
        let mut captures = self.captures.lock().unwrap();
        match ManagerWork::of(work)? {
            ManagerWork::Capture { name } if name.contains("0304") => {
                return Err(Error::new(ErrorKind::Quota, "no room").leaving(World::Untouched));
            }
            ManagerWork::Capture { name } => {
                captures.insert(key.to_string(), json!({ "name": name }));
            }
            ManagerWork::Discard { captured } => {
                let key = captured["place"].as_str().unwrap_or_default();
                captures.remove(key);
            }
        }
        Ok(Ticket::new("here"))
    }

    async fn observe(
        &self,
        key: &OperationKey,
        work: &CustomWork,
        _: Option<&Ticket>,
    ) -> Result<CustomObservation> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let captures = self.captures.lock().unwrap();
        Ok(match ManagerWork::of(work)? {
            ManagerWork::Capture { .. } if !captures.contains_key(&key.to_string()) => {
                CustomObservation::Absent
            }
            ManagerWork::Capture { .. } => CustomObservation::Done(
                serde_json::to_value(Captured {
                    taken_at: None,
                    verified: true,
                    place: key.to_string().into(),
                })
                .unwrap(),
            ),
            ManagerWork::Discard { .. } => CustomObservation::Done(Value::Null),
        })
    }

    async fn cancel(&self, _: &OperationKey, _: &CustomWork) -> Result<()> {
        Ok(())
    }

    /// It never says.
    async fn size(&self, _: &CustomWork) -> u64 {
        std::future::pending().await
    }
}

fn with_director(builder: EngineBuilder) -> EngineBuilder {
    builder.executor("director", Arc::new(director()))
}

#[tokio::test(start_paused = true)]
async fn the_manager_itself_is_taken_listed_kept_and_deleted() {
    let bed = Bed::with(Personality::Files, with_director);
    let manager = Subject::Manager("director".into());
    let mut spec = ScheduleSpec::new("nightly", manager, cron("0 2 * * *"));
    spec.keep = Some(Keep::new().last(2));
    bed.apply(&spec).await;
    bed.until(at("06T12:00")).await;
    assert_eq!(
        bed.runs().await,
        [
            "02T02:00 done 1",
            "03T02:00 done 1",
            "04T02:00 failed 1, done 0",
            "05T02:00 done 1",
            "06T02:00 done 1"
        ]
    );
    assert_eq!(
        bed.names().await,
        [
            "nightly-self-20260305-020000",
            "nightly-self-20260306-020000"
        ]
    );
    let held = director().captures;
    assert_eq!(held.lock().unwrap().len(), 2, "pruned there, too");
    let snapshots = bed.snapshots().await;
    assert!(snapshots[0].verified.is_some());
    let captured = bed.engine.captured(&snapshots[0]).await.unwrap();
    let place = captured["place"].as_str().unwrap();
    assert!(held.lock().unwrap().contains_key(place));

    let delete = Request::Delete {
        snapshot: snapshots[0].id,
    };
    let plan = bed.engine.plan(&delete).await.unwrap();
    let job = bed.engine.start(&plan).await.unwrap();
    bed.engine.wait(job).await.unwrap().into_result().unwrap();
    assert_eq!(bed.snapshots().await.len(), 1);
    assert_eq!(held.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_size_that_is_never_said_keeps_no_plan_from_being_made() {
    let bed = Bed::with(Personality::Files, with_director);
    let capture = Request::Capture {
        executor: "director".to_owned(),
        name: "now".to_owned(),
        schedule: None,
    };
    let soon = tokio::time::timeout(Duration::from_secs(60), bed.engine.plan(&capture));
    let plan = soon.await.expect("it waits for ever").unwrap();
    assert!(plan.blocked_by.is_empty(), "{plan}");
}
