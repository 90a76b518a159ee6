use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use stillpoint_core::Result;
use stillpoint_engine::{Clock, Engine, EngineBuilder};
use stillpoint_iaas::Provider;
use stillpoint_iaas::sim::SimCloud;
use stillpoint_state::State;
use tokio::task::JoinSet;

use crate::clock::LifeClock;
use crate::fence::Fence;
use crate::provider::LifeProvider;
use crate::state::LifeState;
use crate::world::World;

/// The machine that one life of a service runs on, from its start until it is killed.
///
/// What the service reaches through it is cut off at that instant, for ever. Cheap to clone.
#[derive(Clone)]
pub struct Node {
    pub(crate) world: World,
    pub(crate) fence: Fence,
    life: u64,
    name: &'static str,
    seed: u64,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Node {
    pub(crate) fn new(world: World, life: u64) -> Self {
        let mut dice = world.dice();
        Self {
            fence: Fence::new(),
            life,
            name: if dice.bool() { "node-a" } else { "node-b" },
            seed: dice.u64(..),
            tasks: Arc::default(),
            world,
        }
    }

    /// An engine's builder with all of this: the state, every cloud there is now, the clock, a
    /// node's name, and ids from the seed.
    pub fn engine(&self) -> EngineBuilder {
        let builder = Engine::builder(self.state())
            .clock(self.clock())
            .node(self.name)
            .ids_from_seed(self.seed);
        let clouds = self.world.clouds();
        clouds.iter().fold(builder, |builder, cloud| {
            builder.provider(self.connect(cloud))
        })
    }

    /// The durable state, which another life left here.
    pub fn state(&self) -> Arc<dyn State> {
        Arc::new(LifeState {
            world: self.world.clone(),
            fence: self.fence.clone(),
            life: self.life,
        })
    }

    /// A client of a cloud.
    pub fn connect(&self, cloud: &SimCloud) -> Arc<dyn Provider> {
        Arc::new(LifeProvider {
            inner: cloud.connect(),
            world: self.world.clone(),
            fence: self.fence.clone(),
            life: self.life,
        })
    }

    /// The machine's clock, which may be wrong. A second is a second for it, though.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(LifeClock(self.world.clone()))
    }

    /// What the node is called: it may be the same as before, or another.
    pub fn name(&self) -> &str {
        self.name
    }

    /// A seed for whatever the service draws, ids above all; another one in each life.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Runs a part of the service until it ends or the node dies. Where it fails or panics, the
    /// process is over and started again; a panic fails the seed as well.
    pub fn spawn(&self, part: impl Future<Output = Result<()>> + Send + 'static) {
        let node = self.clone();
        let part = async move {
            let ended = AssertUnwindSafe(part).catch_unwind().await;
            match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => node
                    .world
                    .note(format_args!("#{} ends: {error}", node.life)),
                Err(_) => node
                    .world
                    .violation(format!("a part of life #{} panicked", node.life)),
            }
            node.world.process_ended(node.life);
        };
        // It holds itself until it is over or the node ends.
        self.lock().spawn(part);
    }

    pub(crate) fn life(&self) -> u64 {
        self.life
    }

    /// Nothing of it goes on.
    pub(crate) fn end(&self) {
        self.fence.kill();
        self.lock().abort_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("life", &self.life)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
