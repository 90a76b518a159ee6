//! Somebody who asks for whatever can be asked for, at any time.

use std::time::Duration;

use stillpoint_core::{Consistency, Error, ErrorKind, JobId, ResourceRef, Result, Snapshot};
use stillpoint_engine::{Engine, JobQuery, Request, Restore, Scope, Take, Target};
use stillpoint_iaas::sim::SimCloud;
use stillpoint_sim::{Service, World};
use stillpoint_state::catalogue::Query;

/// How long they do something else, on average.
const PAUSE: Duration = Duration::from_secs(16 * 3600);

pub(crate) struct Operator {
    name: &'static str,
    world: World,
    service: Service<Engine>,
    instances: Vec<(SimCloud, ResourceRef)>,
    dice: fastrand::Rng,
    asked: u32,
}

impl Operator {
    pub(crate) fn new(
        name: &'static str,
        world: &World,
        service: Service<Engine>,
        instances: Vec<(SimCloud, ResourceRef)>,
    ) -> Self {
        Self {
            name,
            world: world.clone(),
            service,
            instances,
            dice: world.dice(),
            asked: 0,
        }
    }

    pub(crate) async fn work(mut self, time: Duration) {
        let until = self.world.now() + time;
        loop {
            let pause = PAUSE.mul_f64(2.0 * self.dice.f64());
            // Now and then all at once.
            let pause = if self.dice.u8(0..3) == 0 {
                pause / 1000
            } else {
                pause
            };
            self.world.pass(pause).await;
            if self.world.now() >= until {
                return;
            }
            if let Err(error) = self.act().await {
                self.world.note(format_args!("{}: {error}", self.name));
                assert!(may_be(&error), "{}: {error:?}", self.name);
            }
        }
    }

    async fn act(&mut self) -> Result<()> {
        match self.dice.u8(0..16) {
            0..4 => self.take().await,
            4..6 => self.restore_in_place().await,
            6 => self.restore_elsewhere().await,
            7..10 => self.settle().await,
            10..12 => self.delete().await,
            12 => self.edit().await,
            13..15 => self.stop().await,
            _ => self.write(),
        }
    }

    async fn take(&mut self) -> Result<()> {
        let (_, instance) = self.pick_instance();
        let mut take = Take::of(instance);
        if self.dice.u8(0..6) == 0 {
            take.scope = Scope::Image;
        }
        if self.dice.u8(0..6) == 0 {
            take.disks = Some(vec!["data".into()]);
        }
        if self.dice.bool() {
            take.prefer = Consistency::Filesystem;
        }
        if self.dice.u8(0..4) == 0 {
            take.may_power_off = Some(Duration::from_secs(900));
        }
        take.verify = self.dice.u8(0..4) > 0;
        self.ask(Request::Take(take)).await
    }

    async fn restore_in_place(&mut self) -> Result<()> {
        let snapshot = self.pick_snapshot().await?;
        let mut restore = Restore::in_place(snapshot.id);
        restore.may_power_off = Some(Duration::from_secs(900));
        self.ask(Request::Restore(restore)).await
    }

    async fn restore_elsewhere(&mut self) -> Result<()> {
        let snapshot = self.pick_snapshot().await?;
        let name = format!("{}-{}", self.name, self.asked);
        let to = if self.dice.bool() {
            Target::New { name }
        } else {
            Target::Template { name }
        };
        let restore = Restore {
            to,
            ..Restore::in_place(snapshot.id)
        };
        self.ask(Request::Restore(restore)).await
    }

    /// Undoes or accepts a restore, or tries to.
    async fn settle(&mut self) -> Result<()> {
        let jobs = self.jobs(JobQuery::default()).await?;
        let restores = jobs.into_iter().filter(|job| {
            matches!(&job.request, Request::Restore(ask) if ask.to == Target::InPlace)
                && job.snapshot.is_some()
        });
        let restores: Vec<_> = restores.map(|job| job.id).collect();
        let job = self.pick(&restores)?;
        let request = if self.dice.bool() {
            Request::Undo { job }
        } else {
            Request::Accept { job }
        };
        self.ask(request).await
    }

    async fn delete(&mut self) -> Result<()> {
        let snapshot = self.pick_snapshot().await?.id;
        self.ask(Request::Delete { snapshot }).await
    }

    async fn edit(&mut self) -> Result<()> {
        let id = self.pick_snapshot().await?.id;
        let (name, how) = (format!("{}-{}", self.name, self.asked), self.dice.u8(0..5));
        let label = [("by".to_owned(), self.name.to_owned())];
        self.service
            .ask(|engine| {
                let (name, label) = (name.clone(), label.clone());
                let operator = engine.by(self.name);
                async move {
                    match how {
                        0 => operator.rename(id, &name).await,
                        1 => operator.describe(id, &name).await,
                        2 => operator.set_labels(id, label.into_iter().collect()).await,
                        3 => operator.pin(id, "audit").await,
                        _ => operator.unpin(id, "audit").await,
                    }
                    .map(|_| ())
                }
            })
            .await
    }

    async fn stop(&mut self) -> Result<()> {
        let unfinished = JobQuery {
            unfinished: true,
            ..JobQuery::default()
        };
        // Somebody has begun something, and somebody thinks better of it.
        let jobs = self.jobs(unfinished).await?;
        let jobs: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
        let job = match self.pick(&jobs) {
            Ok(job) => job,
            Err(_) => {
                let (_, instance) = self.pick_instance();
                let job = self.start(Request::Take(Take::of(instance))).await?;
                let soon = Duration::from_millis(self.dice.u64(0..8000));
                self.world.pass(soon).await;
                job
            }
        };
        self.service
            .ask(|engine| async move { engine.stop(job).await })
            .await
    }

    fn write(&mut self) -> Result<()> {
        let (cloud, instance) = self.pick_instance();
        let root = cloud.disk(&instance, "root").ok_or_else(nothing)?;
        cloud.fill(&root, self.dice.u64(..));
        Ok(())
    }

    async fn ask(&mut self, request: Request) -> Result<()> {
        let job = self.start(request).await?;
        if self.dice.bool() {
            return Ok(());
        }
        self.service
            .ask(|engine| async move { engine.wait(job).await })
            .await
            .map(|_| ())
    }

    /// Asks again under the same key until there is an answer that is one.
    async fn start(&mut self, request: Request) -> Result<JobId> {
        self.asked += 1;
        let key = format!("{}-{}", self.name, self.asked);
        self.world.note(format_args!("{key} asks to {request}"));
        let mut tries = 0;
        loop {
            let started = self
                .service
                .ask(|engine| {
                    let (request, key) = (request.clone(), key.clone());
                    async move { engine.start_once(&request, &key).await }
                })
                .await;
            tries += 1;
            match started {
                Err(error) if tries < 5 && is_passing(&error) => {
                    self.world.pass(Duration::from_secs(30)).await;
                }
                other => return other,
            }
        }
    }

    async fn jobs(&self, query: JobQuery) -> Result<Vec<stillpoint_engine::Job>> {
        self.service
            .ask(|engine| {
                let query = query.clone();
                async move { engine.jobs(&query).await }
            })
            .await
    }

    async fn pick_snapshot(&mut self) -> Result<Snapshot> {
        let page = self
            .service
            .ask(|engine| async move { engine.catalogue().list(&Query::default()).await })
            .await?;
        let snapshots: Vec<_> = page.rows.into_iter().map(|row| row.snapshot).collect();
        self.pick(&snapshots)
    }

    fn pick_instance(&mut self) -> (SimCloud, ResourceRef) {
        self.instances[self.dice.usize(0..self.instances.len())].clone()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Result<T> {
        if from.is_empty() {
            return Err(nothing());
        }
        Ok(from[self.dice.usize(0..from.len())].clone())
    }
}

fn nothing() -> Error {
    Error::new(ErrorKind::NotFound, "there is nothing to choose from")
}

/// Whether to ask again helps.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Unavailable
    )
}

/// Whether a sound engine says so to somebody who asks for anything at any time.
fn may_be(error: &Error) -> bool {
    is_passing(error)
        || matches!(
            error.kind(),
            ErrorKind::Busy
                | ErrorKind::Cancelled
                | ErrorKind::Conflict
                | ErrorKind::NotFound
                | ErrorKind::Precondition
                | ErrorKind::Quota
                | ErrorKind::Unsupported
        )
}
