use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use stillpoint_core::{JobId, Result};
use tokio::sync::{Notify, mpsc};

use crate::check;
use crate::node::Node;
use crate::trouble::{Blow, Trouble};
use crate::world::World;

/// For how long everything may go on after the troubles have ended.
const PATIENCE: Duration = Duration::from_secs(30 * 86_400);

/// A service that is started again whenever its process is killed.
///
/// `S` is what a life of it is reached by: a handle that can be cloned.
#[derive(Clone)]
pub struct Service<S> {
    world: World,
    current: Arc<Current<S>>,
}

struct Current<S> {
    life: Mutex<Option<(u64, S)>>,
    changed: Notify,
}

type Start<S> = Box<dyn Fn(Node) -> BoxFuture<'static, Result<S>> + Send + Sync>;

impl World {
    /// Starts the service, now and after every kill: `start` is given what a process of its own
    /// would have, and gives the handle that it is reached by.
    ///
    /// # Panics
    ///
    /// Where there is a service already.
    pub fn boot<S, F, Fut>(&self, start: F) -> Service<S>
    where
        S: Clone + Send + 'static,
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S>> + Send + 'static,
    {
        let blown = self.blown().expect("a world has one service");
        self.remember();
        let current = Arc::new(Current {
            life: Mutex::new(None),
            changed: Notify::new(),
        });
        let keeper = Keeper {
            world: self.clone(),
            current: Arc::clone(&current),
            start: Box::new(move |node| start(node).boxed()),
            blown,
        };
        tokio::spawn(keeper.keep());
        Service {
            world: self.clone(),
            current,
        }
    }
}

impl<S: Clone> Service<S> {
    /// Asks the service, and where its process dies meanwhile asks the next one, as a client
    /// does: so give what changes something a `once` key.
    pub async fn ask<T, Fut>(&self, ask: impl Fn(S) -> Fut) -> T
    where
        Fut: Future<Output = T>,
    {
        loop {
            let (life, handle) = self.up().await;
            let gone = pin!(self.gone(life));
            if let Either::Left((answer, _)) = select(pin!(ask(handle)), gone).await {
                return answer;
            }
        }
    }

    /// Ends all troubles and waits until every job is over. A job that waits for a person gets
    /// one: `person` is called with the service and the job, and would resume it.
    ///
    /// After that, [`check`](Self::check).
    ///
    /// # Panics
    ///
    /// Where a job goes on for a month, naming it.
    pub async fn calm<Fut>(&self, person: impl Fn(S, JobId) -> Fut)
    where
        Fut: Future<Output = Result<()>>,
    {
        self.world.trouble(Trouble::NONE);
        let jobs = check::Jobs::of(&self.world);
        let mut asked = Vec::new();
        let over = async {
            loop {
                // Zombies have ended by then, and the next life has begun.
                self.world.pass(Duration::from_secs(600)).await;
                if jobs.driven().await? > 0 {
                    continue;
                }
                let mut any = false;
                for job in jobs.waiting().await? {
                    // Twice is enough where nobody can tell: a ticket that is lost stays lost.
                    if asked.iter().filter(|other| **other == job).count() < 2 {
                        asked.push(job);
                        any = true;
                        self.world.note(format_args!("a person resumes {job}"));
                        let resumed = self.ask(|handle| person(handle, job)).await;
                        if let Err(error) = resumed {
                            self.world.note(format_args!("not resumed: {error}"));
                        }
                    }
                }
                if !any {
                    return Ok::<_, stillpoint_core::Error>(());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, over).await {
            Ok(over) => over.expect("the kept state can be read"),
            Err(_) => {
                let left = jobs.describe_unfinished().await;
                panic!("a month after the troubles have ended these go on:\n{left}");
            }
        }
        for cloud in self.world.clouds() {
            cloud.settle().await;
        }
    }

    /// Holds what there is now to what must be: see the guide's list.
    ///
    /// # Panics
    ///
    /// Where anything is violated, naming all of it.
    pub async fn check(&self) {
        let violations = check::all(&self.world).await;
        assert!(
            violations.is_empty(),
            "{} violated:\n- {}",
            violations.len(),
            violations.join("\n- ")
        );
    }

    /// The life there is, or the next one.
    async fn up(&self) -> (u64, S) {
        loop {
            let changed = self.current.changed.notified();
            if let Some(life) = self.current.get() {
                return life;
            }
            changed.await;
        }
    }

    async fn gone(&self, life: u64) {
        loop {
            let changed = self.current.changed.notified();
            if self.current.get().is_none_or(|(now, _)| now != life) {
                return;
            }
            changed.await;
        }
    }
}

impl<S: Clone> Current<S> {
    fn get(&self) -> Option<(u64, S)> {
        self.life
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<S> Current<S> {
    fn set(&self, life: Option<(u64, S)>) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = life;
        self.changed.notify_waiters();
    }
}

/// Starts the service, and again.
struct Keeper<S> {
    world: World,
    current: Arc<Current<S>>,
    start: Start<S>,
    blown: mpsc::UnboundedReceiver<(u64, Blow)>,
}

impl<S> Keeper<S> {
    async fn keep(mut self) {
        for life in 1.. {
            let node = Node::new(self.world.clone(), life);
            self.world.begin_life(life);
            self.world
                .note(format_args!("#{life} starts as {}", node.name()));
            let blow = {
                let serve = async {
                    match (self.start)(node.clone()).await {
                        Ok(handle) => self.current.set(Some((life, handle))),
                        Err(error) => {
                            self.world
                                .note(format_args!("#{life} did not start: {error}"));
                            self.world.process_ended(life);
                        }
                    }
                    std::future::pending::<()>().await;
                };
                let hit = hit(&mut self.blown, life);
                match select(pin!(serve), pin!(hit)).await {
                    Either::Left(((), _)) => unreachable!("it waits for ever"),
                    Either::Right((blow, _)) => blow,
                }
            };
            self.current.set(None);
            let Some(blow) = blow else { return };
            self.fall(node, blow).await;
        }
    }

    /// What becomes of a process that was hit, and how long it takes until another starts.
    async fn fall(&self, node: Node, blow: Blow) {
        let mut dice = self.world.dice();
        // Its connections break in any case.
        for cloud in self.world.clouds() {
            cloud.crash();
        }
        match blow {
            Blow::Kill => {
                node.end();
                let written = self.world.disk().process_killed(&mut dice);
                self.world
                    .note(format_args!("written all the same: {written}"));
            }
            Blow::PowerCut => {
                node.end();
                let lost = self.world.disk().power_lost();
                self.world.note(format_args!("lost: {lost}"));
            }
            Blow::Stall => {
                node.fence.still();
                let (still, on) = (dice.u64(1..300), dice.u64(1..120));
                let world = self.world.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(still)).await;
                    world.note(format_args!("#{} wakes up", node.life()));
                    node.fence.wake();
                    tokio::time::sleep(Duration::from_secs(on)).await;
                    world.note(format_args!("#{} ends", node.life()));
                    node.end();
                });
            }
        }
        self.world.tally_mut(|tally| match blow {
            Blow::Kill | Blow::PowerCut => tally.kills += 1,
            Blow::Stall => tally.stalls += 1,
        });
        tokio::time::sleep(self.world.downtime(&mut dice)).await;
    }
}

/// When the life is hit, and by what; none at the end of the world.
async fn hit(blown: &mut mpsc::UnboundedReceiver<(u64, Blow)>, life: u64) -> Option<Blow> {
    loop {
        let (of, blow) = blown.recv().await?;
        if of == life {
            return Some(blow);
        }
    }
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}
