//! A simulated cloud with an engine on it, on one virtual clock.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test uses its part"
)]

mod fuse;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use stillpoint_core::{JobId, ResourceRef, Result, Snapshot, SnapshotId};
use stillpoint_engine::{Clock, Engine, Job, Request, Restore, Take, Target};
use stillpoint_iaas::Provider;
use stillpoint_iaas::sim::{NewInstance, Personality, SimCloud, SimCloudBuilder, clock_from};
use stillpoint_restore::Machine;
use stillpoint_state::catalogue::{Query, replay};
use stillpoint_state::{Memory, Revision, State, StateExt};
use tokio::task::JoinHandle;

pub use self::fuse::Fuse;

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

/// What is asked of an engine, over and over, in these tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Story {
    Accept,
    Delete,
    InPlace,
    New,
    Take,
    Template,
    Undo,
}

/// The cloud's clock, for the engine.
#[derive(Clone)]
pub struct CloudClock(pub stillpoint_iaas::sim::Clock);

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

    fn passed(&self) -> std::time::Duration {
        let passed = self.now().duration_since(Timestamp::UNIX_EPOCH);
        passed.try_into().unwrap()
    }

    async fn sleep(&self, duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl Bench {
    /// An instance `web-1` that is off, with two disks and an ephemeral one.
    pub fn new(personality: Personality) -> Self {
        Self::with(personality, NewInstance::off)
    }

    pub fn with(personality: Personality, shape: impl FnOnce(NewInstance) -> NewInstance) -> Self {
        Self::on(SimCloud::builder(personality), shape)
    }

    /// On a cloud of one's own making.
    pub fn on(cloud: SimCloudBuilder, shape: impl FnOnce(NewInstance) -> NewInstance) -> Self {
        let clock = clock_from("2026-03-01T02:00:00Z".parse().unwrap());
        let cloud = cloud.name("prod").clock(clock).build();
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

    /// Puts another engine, on this view of the state, in the place of the one there is.
    pub fn drive_on(&mut self, state: Arc<dyn State>) {
        self.driving.abort();
        (self.engine, self.driving) = start(&self.cloud, &state);
    }

    /// Puts another engine, with this provider, in the place of the one there is.
    pub fn drive_with(&mut self, provider: impl Provider) {
        self.driving.abort();
        (self.engine, self.driving) = start_with(&self.cloud, &self.state, Arc::new(provider));
    }

    /// As kill -9 does: the engine and its client are gone, and new ones start.
    pub fn crash(&mut self) {
        self.halt();
        (self.engine, self.driving) = start(&self.cloud, &self.state);
    }

    /// As kill -9 does, and nobody starts it again.
    pub fn halt(&mut self) {
        self.driving.abort();
        self.cloud.crash();
    }

    pub fn disk(&self, name: &str) -> ResourceRef {
        self.cloud.disk(&self.web, name).unwrap()
    }

    /// Brings about what a story starts from, and says what it then asks.
    pub async fn set_up(&self, story: Story) -> Request {
        let taken = match story {
            Story::Take => return Request::Take(Take::of(self.web.clone())),
            _ => self.take().await.unwrap(),
        };
        let restore = Restore::in_place(taken.id);
        let to = |to| {
            Request::Restore(Restore {
                to,
                ..restore.clone()
            })
        };
        self.cloud.fill(&self.disk("root"), 99);
        match story {
            Story::Accept | Story::Undo => {
                let job = self.run(Request::Restore(restore)).await.unwrap().id;
                if story == Story::Undo {
                    Request::Undo { job }
                } else {
                    Request::Accept { job }
                }
            }
            Story::Delete => Request::Delete { snapshot: taken.id },
            Story::InPlace => Request::Restore(restore),
            Story::New => to(Target::New {
                name: "web-2".into(),
            }),
            Story::Template => to(Target::Template {
                name: "golden".into(),
            }),
            Story::Take => unreachable!("it was answered above"),
        }
    }

    /// Plans, starts and waits.
    pub async fn run(&self, request: Request) -> Result<Job> {
        let plan = self.engine.plan(&request).await?;
        let id = self.engine.start(&plan).await?;
        self.finish(id).await.into_result()
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

    /// Waits for the end of a job, for a day and no longer.
    pub async fn finish(&self, id: JobId) -> Job {
        let day = std::time::Duration::from_secs(86_400);
        match tokio::time::timeout(day, self.engine.wait(id)).await {
            Ok(job) => job.unwrap(),
            Err(_) => panic!(
                "job {id} goes on for a day:\n{}",
                self.engine.tree(id).await.unwrap()
            ),
        }
    }

    /// Whatever exists because of us is in the catalogue or was made for a caller, and the other
    /// way round.
    pub async fn check_no_orphans(&self, what: &str) {
        self.cloud.settle().await;
        let inventory = self.cloud.inventory();
        let ours: BTreeSet<_> = inventory
            .ours()
            .map(|(resource, _)| resource.clone())
            .collect();
        let mut known = BTreeSet::new();
        for snapshot in self.snapshots().await {
            known.extend(snapshot.parts.into_iter().map(|part| part.snapshot));
        }
        for job in self.engine.jobs(&Default::default()).await.unwrap() {
            known.extend(job.made);
        }
        let orphans: Vec<_> = ours.difference(&known).collect();
        let lost: Vec<_> = known.difference(&ours).collect();
        assert!(
            orphans.is_empty(),
            "{what}: orphans {orphans:?}\n{inventory}"
        );
        assert!(
            lost.is_empty(),
            "{what}: in the catalogue only {lost:?}\n{inventory}"
        );
        self.check_audit(what).await;
        self.check_journals(what).await;
        let leases = self.state.scan_prefix("lease/").await.unwrap();
        let leases = leases.collect().await.unwrap();
        assert!(leases.is_empty(), "{what}: {leases:?}");
    }

    /// Each job is listed as its journal says that it ended.
    async fn check_journals(&self, what: &str) {
        for job in self.engine.jobs(&Default::default()).await.unwrap() {
            let steps = self.engine.plan_of(job.id).await.unwrap().steps.unwrap();
            let records = self.engine.journal(job.id).await.unwrap();
            let replayed = Machine::replay(steps, &records).unwrap().outcome();
            assert_eq!(job.outcome, replayed, "{what}: job {}", job.id);
        }
    }

    /// The audit, replayed, is the catalogue.
    async fn check_audit(&self, what: &str) {
        let catalogue = self.engine.catalogue();
        let changes = catalogue.changes(None, Revision::ZERO).await.expect(what);
        let audited: Vec<_> = replay(&changes).expect(what).into_values().collect();
        let mut listed = self.snapshots().await;
        listed.sort_by_key(|snapshot| snapshot.id);
        assert_eq!(audited, listed, "{what}");
    }
}

impl Story {
    pub const ALL: [Self; 7] = [
        Self::Accept,
        Self::Delete,
        Self::InPlace,
        Self::New,
        Self::Take,
        Self::Template,
        Self::Undo,
    ];

    /// Whether a cloud of this sort can tell it at all.
    pub fn works_on(self, personality: Personality) -> bool {
        personality != Personality::Process || matches!(self, Self::Delete | Self::Take)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

fn start(cloud: &SimCloud, state: &Arc<dyn State>) -> (Engine, JoinHandle<Result<()>>) {
    start_with(cloud, state, Arc::new(cloud.connect()))
}

fn start_with(
    cloud: &SimCloud,
    state: &Arc<dyn State>,
    provider: Arc<dyn Provider>,
) -> (Engine, JoinHandle<Result<()>>) {
    let engine = Engine::builder(Arc::clone(state))
        .provider(provider)
        .clock(Arc::new(CloudClock(cloud.clock())))
        .build()
        .unwrap();
    let driving = tokio::spawn(engine.run());
    (engine, driving)
}
