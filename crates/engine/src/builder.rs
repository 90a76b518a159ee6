use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use stillpoint_core::{Error, ErrorKind, ResourceKind, ResourceRef, Result};
use stillpoint_iaas::Provider;
use stillpoint_state::State;
use tokio::sync::{Notify, broadcast, mpsc, watch};

use crate::clock::{Clock, SystemClock};
use crate::engine::Engine;
use crate::executor::{CustomPlanner, Executor};
use crate::schedules::Ledger;
use crate::shared::{Entropy, Phase, Shared};
use crate::store::Store;
use crate::timed::Timed;
use crate::work::Workshop;

/// Events that a listener may be behind.
const EVENTS: usize = 4096;

/// Puts an [`Engine`] together.
#[derive(Debug)]
#[must_use]
pub struct EngineBuilder {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    providers: Vec<Arc<dyn Provider>>,
    executors: BTreeMap<String, Arc<dyn Executor>>,
    planners: BTreeMap<String, Arc<dyn CustomPlanner>>,
    holder: String,
    entropy: Entropy,
    read_only: bool,
}

impl EngineBuilder {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        Self {
            state,
            clock: Arc::new(SystemClock),
            providers: Vec::new(),
            executors: BTreeMap::new(),
            planners: BTreeMap::new(),
            holder: "engine".into(),
            entropy: Entropy::System,
            read_only: false,
        }
    }

    /// Registers a provider under the name that it displays as.
    pub fn provider(mut self, provider: Arc<dyn Provider>) -> Self {
        self.providers.push(provider);
        self
    }

    /// Registers what carries out the [`Custom`](crate::Action::Custom) steps of that name.
    pub fn executor(mut self, name: impl Into<String>, executor: Arc<dyn Executor>) -> Self {
        self.executors.insert(name.into(), executor);
        self
    }

    /// Registers what plans the [`Custom`](crate::Request::Custom) requests of that name.
    pub fn planner(mut self, name: impl Into<String>, planner: Arc<dyn CustomPlanner>) -> Self {
        self.planners.insert(name.into(), planner);
        self
    }

    /// The clock; the system's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What this engine is called where several share a state. It must stay the same over a
    /// restart, and be different for each.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.holder = name.into();
        self
    }

    /// Makes ids from a seed instead of the system's entropy, for simulations: equal runs have
    /// equal ids. Two engines of one seed on one state would clash.
    pub fn ids_from_seed(mut self, seed: u64) -> Self {
        self.entropy = Entropy::Seeded(seed);
        self
    }

    /// Only looks: every start, stop and change is refused.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The engine. It drives nothing before [`run`](Engine::run).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] where two providers have one name, or a name that no resource could
    /// start with.
    pub fn build(self) -> Result<Engine> {
        let mut providers = BTreeMap::new();
        for provider in self.providers {
            let name = provider.to_string();
            ResourceRef::new(name.as_str(), ResourceKind::Volume, "probe")?;
            let timed = Timed::new(provider, Arc::clone(&self.clock));
            let timed: Arc<dyn Provider> = Arc::new(timed);
            if providers.insert(name.clone(), timed).is_some() {
                let message = format!("two providers are named `{name}`");
                return Err(Error::new(ErrorKind::Invalid, message).advise("Rename one of them"));
            }
        }
        let (starts, started) = mpsc::unbounded_channel();
        Ok(Engine::new(Shared {
            ledger: Ledger::new(Arc::clone(&self.state)),
            store: Store::new(self.state),
            workshop: Workshop::new(providers, self.executors, Arc::clone(&self.clock)),
            planners: self.planners,
            clock: self.clock,
            holder: self.holder,
            read_only: self.read_only,
            events: broadcast::channel(EVENTS).0,
            entropy: Mutex::new(self.entropy),
            starts,
            started: Mutex::new(Some(started)),
            drivers: Mutex::default(),
            meters: Mutex::default(),
            given_up: Mutex::default(),
            gave_up: Notify::new(),
            running: AtomicBool::new(false),
            phase: watch::channel(Phase::Ended).0,
        }))
    }
}
