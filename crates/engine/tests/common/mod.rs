//! A simulated cloud with an engine on it, on one virtual clock.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_core::{JobId, ResourceRef, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Clock, Engine, Job, Request, Take};
use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud, clock_from};
use stillpoint_state::catalogue::Query;
use stillpoint_state::{Memory, State};
use tokio::task::JoinHandle;

/// A chunk of the content digest: enough to tell volumes apart, and quick.
pub const CHUNK: u64 = 64 << 10;

/// A cloud, a state, and an engine that drives.
pub struct Bench {
    pub cloud: SimCloud,
    pub state: Arc<dyn State>,
    pub engine: Engine,
    pub web: ResourceRef,
    driving: JoinHandle<Result<()>>,
}

/// The cloud's clock, for the engine.
#[derive(Clone)]
pub struct CloudClock(stillpoint_iaas::sim::Clock);

impl std::fmt::Debug for CloudClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CloudClock")
    }
}

#[async_trait]
impl Clock for CloudClock {
    fn now(&self) -> Timestamp {
        (self.0)()
    }

    async fn sleep(&self, duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Bench {
    /// An instance `web-1` that is off, with two disks and an ephemeral one.
    pub fn new(personality: Personality) -> Self {
        Self::with(personality, |instance| instance.off())
    }

    pub fn with(personality: Personality, shape: impl FnOnce(NewInstance) -> NewInstance) -> Self {
        let clock = clock_from("2026-03-01T02:00:00Z".parse().unwrap());
        let cloud = SimCloud::builder(personality)
            .name("prod")
            .clock(clock)
            .build();
        let instance = NewInstance::new("web-1")
            .disk("root", 2 * CHUNK)
            .disk("data", CHUNK);
        let web = cloud.add_instance(shape(instance.ephemeral("scratch", CHUNK)));
        for (seed, disk) in ["root", "data"].into_iter().enumerate() {
            let disk = cloud.disk(&web, disk).unwrap();
            cloud.fill(&disk, seed as u64 + 1);
        }
        let state: Arc<dyn State> = Arc::new(Memory::new());
        let (engine, driving) = start(&cloud, &state);
        Self {
            cloud,
            state,
            engine,
            web,
            driving,
        }
    }

    /// As kill -9 does: the engine and its client are gone, and new ones start.
    pub fn crash(&mut self) {
        self.driving.abort();
        self.cloud.crash();
        (self.engine, self.driving) = start(&self.cloud, &self.state);
    }

    pub fn disk(&self, name: &str) -> ResourceRef {
        self.cloud.disk(&self.web, name).unwrap()
    }

    /// Plans, starts and waits.
    pub async fn run(&self, request: Request) -> Result<Job> {
        let plan = self.engine.plan(&request).await?;
        let id = self.engine.start(&plan).await?;
        self.engine.wait(id).await?.into_result()
    }

    pub async fn take(&self) -> Result<Snapshot> {
        let job = self.run(Request::Take(Take::of(self.web.clone()))).await?;
        Ok(self.snapshot(job.snapshot.unwrap()).await)
    }

    pub async fn snapshot(&self, id: SnapshotId) -> Snapshot {
        self.engine.catalogue().get(id).await.unwrap().snapshot
    }

    pub async fn snapshots(&self) -> Vec<Snapshot> {
        let page = self
            .engine
            .catalogue()
            .list(&Query::default())
            .await
            .unwrap();
        page.rows.into_iter().map(|row| row.snapshot).collect()
    }

    pub async fn finish(&self, id: JobId) -> Job {
        self.engine.wait(id).await.unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

fn start(cloud: &SimCloud, state: &Arc<dyn State>) -> (Engine, JoinHandle<Result<()>>) {
    let engine = Engine::builder(Arc::clone(state))
        .provider(Arc::new(cloud.connect()))
        .clock(Arc::new(CloudClock(cloud.clock())))
        .build()
        .unwrap();
    let driving = tokio::spawn(engine.run());
    (engine, driving)
}
